//! A plugin in Zig that breaks in the way that its settings say.

const std = @import("std");
const plugin = @import("plugin_api");

pub const panic = plugin.panic;

const Breaks = struct {
    way: [64]u8,
    updates: u8 = 0,
    /// Freed in `destroy`: what a call that panicked has allocated is not lost.
    arena: std.heap.ArenaAllocator,

    pub fn create(call: plugin.Call) !Breaks {
        var self: Breaks = .{ .way = undefined, .arena = .init(std.heap.c_allocator) };
        const way = call.settingText("break", &self.way) orelse return error.NothingToBreak;
        if (std.mem.eql(u8, way, "in create")) @panic("no beginning");
        return self;
    }

    fn does(self: *const Breaks, way: []const u8) bool {
        return std.mem.eql(u8, std.mem.sliceTo(&self.way, 0), way);
    }

    fn deeper(self: *Breaks, steps: usize) !void {
        const some = try self.arena.allocator().alloc(u8, 100);
        some[0] = 1;
        if (steps > 0) try self.deeper(steps - 1);
        if (self.does("index")) some[some.len + self.updates] = 2;
        if (self.does("own words")) std.debug.panic("{d} is too much", .{steps});
        if (self.does("error")) return error.DiskFull;
    }

    pub fn update(self: *Breaks, call: plugin.Call) !void {
        var nothing: ?u8 = null;
        _ = &nothing;
        self.updates += 1;
        if (self.does("overflow")) self.updates += 255;
        if (self.does("null")) self.updates = nothing.?;
        if (self.does("unreachable")) unreachable;
        if (self.does("for good")) return call.fail(.{ .message = "never", .recoverable = false });
        if (self.does("later")) return call.fail(.{ .message = "in a moment", .retry_after_ns = 250_000_000 });
        try self.deeper(20);
        _ = call.publish("whole", "");
    }

    pub fn display(self: *Breaks, call: plugin.Call) !void {
        if (self.does("in display")) @panic("nothing to see");
        var text: [32]u8 = undefined;
        call.show(.text, try std.fmt.bufPrint(&text, "{d} updates", .{self.updates}));
    }

    pub fn destroy(self: *Breaks) void {
        self.arena.deinit();
        if (self.does("in destroy")) @panic("no end");
    }
};

comptime {
    plugin.exportPlugin(Breaks, .{ .id = "breaks", .version = "1.0.0", .interval = "1s", .timeout = "500ms" });
}
