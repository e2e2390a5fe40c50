//! Watches that something new comes into a directory, a backup for instance: shows its newest file, and publishes an event when that has
//! become too old and when there is a new one.
//!
//! It is a lesson in what a plugin in Zig is made of: errors that say why, arithmetic that is checked, and nothing that a call leaves behind
//! if it panics, because it allocates nothing.

const std = @import("std");
const plugin = @import("plugin_api");
const c = plugin.c;

pub const panic = plugin.panic;

const NewestFile = struct {
    path: [4096:0]u8,
    max_age_s: u64,
    /// The name of the newest file, and when it was last changed, in seconds since 1970. No name: there is none.
    name: [256]u8 = undefined,
    name_length: usize = 0,
    changed: i64 = 0,
    looked: i64 = 0,
    /// Whether it was published that the newest is too old.
    is_stale: bool = false,

    pub const settings_schema =
        \\{"type": "object", "additionalProperties": false, "required": ["path"], "properties": {
        \\"path": {"type": "string", "minLength": 1, "maxLength": 1000, "description": "The directory."},
        \\"max_age_minutes": {"type": "integer", "minimum": 1, "maximum": 10000000,
        \\"description": "How old its newest file may be. Default: 1440, which is a day."}}}
    ;

    pub fn create(call: plugin.Call) !NewestFile {
        var self: NewestFile = .{
            .path = undefined,
            .max_age_s = call.settingU64("max_age_minutes", 1440) * 60,
        };
        if (call.settingText("path", &self.path) == null) {
            return call.fail(.{ .message = "settings.path: not a text of less than 4096 bytes", .recoverable = false });
        }
        return self;
    }

    pub fn update(self: *NewestFile, call: plugin.Call) !void {
        const directory = c.opendir(&self.path) orelse return self.failAbout(call, &self.path);
        defer _ = c.closedir(directory);
        var newest: ?i64 = null;
        while (c.readdir(directory)) |entry| {
            if (call.isCancelled()) return call.fail(.{ .message = "told to stop" });
            call.recordProgress();
            const name: [*:0]const u8 = @ptrCast(&entry.*.d_name);
            const changed = try changedAt(c.dirfd(directory), name) orelse continue;
            if (newest == null or changed > newest.?) {
                newest = changed;
                const text = std.mem.span(name);
                @memcpy(self.name[0..text.len], text);
                self.name_length = text.len;
                self.changed = changed;
            }
        }
        if (newest == null) self.name_length = 0;
        self.looked = c.time(null);
        self.tell(call);
    }

    /// When a file was last changed; null for what is no file, is hidden, or has gone meanwhile.
    fn changedAt(directory: c_int, name: [*:0]const u8) !?i64 {
        var found: c.struct_stat = undefined;
        if (name[0] == '.') return null;
        if (c.fstatat(directory, name, &found, c.AT_SYMLINK_NOFOLLOW) != 0) {
            return if (std.c._errno().* == c.ENOENT) null else error.CannotBeLookedAt;
        }
        return if (found.st_mode & c.S_IFMT == c.S_IFREG) found.st_mtim.tv_sec else null;
    }

    fn failAbout(_: *const NewestFile, call: plugin.Call, path: [*:0]const u8) error{SaidWhy} {
        var text: [4400]u8 = undefined;
        const why = std.mem.span(@as([*:0]const u8, @ptrCast(c.strerror(std.c._errno().*))));
        const message = std.fmt.bufPrint(&text, "{s}: {s}", .{ path, why }) catch "the directory cannot be read";
        return call.fail(.{ .message = message });
    }

    /// In seconds. A file from the future is new.
    fn age(self: *const NewestFile) u64 {
        return @intCast(@max(0, self.looked - self.changed));
    }

    fn tell(self: *NewestFile, call: plugin.Call) void {
        const is_stale = self.name_length == 0 or self.age() > self.max_age_s;
        if (is_stale == self.is_stale) return;
        self.is_stale = is_stale;
        _ = call.publish(if (is_stale) "stale" else "fresh", self.name[0..self.name_length]);
        call.log(if (is_stale) .warn else .info, if (is_stale) "the newest file is too old" else "there is a new file");
    }

    pub fn display(self: *NewestFile, call: plugin.Call) !void {
        var text: [512]u8 = undefined;
        if (self.looked == 0) return call.show(.text, "not looked at yet");
        if (self.name_length == 0) return call.show(.text, "no file");
        call.show(.text, try std.fmt.bufPrint(&text, "{s}, {d} min old{s}", .{
            self.name[0..self.name_length],
            self.age() / 60,
            if (self.is_stale) ", which is too old" else "",
        }));
    }

    /// The state is one byte: whether it was published that the newest is too old, so that a reload does not do so again.
    pub const state_version: u32 = 1;

    pub fn saveState(self: *NewestFile, _: plugin.Call, saved: plugin.Saved) !void {
        saved.hand(&.{@intFromBool(self.is_stale)});
    }

    pub fn restoreState(self: *NewestFile, call: plugin.Call, version: u32, state: []const u8) !void {
        if (version != state_version or state.len != 1) {
            return call.fail(.{ .message = "the state is not of version 1", .recoverable = false });
        }
        self.is_stale = state[0] != 0;
    }
};

comptime {
    plugin.exportPlugin(NewestFile, .{ .id = "newest-file", .version = "1.0.0", .interval = "1m", .timeout = "5s" });
}
