//! A plugin as a Zig struct, over plugin_api.h: errors become failures, panics give the instance up, and neither leaves the file.
//!
//! The header comes in as the module `c`, which `zig translate-c` makes of a header that includes plugin_guard.h. A plugin is a struct
//! with `create` and `update`, and with as many of the others as it needs:
//!
//!     const plugin = @import("plugin_api");
//!     pub const panic = plugin.panic;
//!
//!     const Counter = struct {
//!         pub fn create(call: plugin.Call) !Counter
//!         pub fn update(self: *Counter, call: plugin.Call) !void
//!         pub fn display(self: *Counter, call: plugin.Call) !void                                         // optional
//!         pub fn destroy(self: *Counter) void                                                             // optional
//!         pub const settings_schema: []const u8                                                           // optional
//!         pub const state_version: u32 = 1;                                                               // optional, with both of these:
//!         pub fn saveState(self: *Counter, call: plugin.Call, saved: plugin.Saved) !void
//!         pub fn restoreState(self: *Counter, call: plugin.Call, version: u32, state: []const u8) !void
//!     };
//!     comptime {
//!         plugin.exportPlugin(Counter, .{ .id = "counter", .version = "1.0.0", .interval = "1s" });
//!     }
//!
//! What becomes of an error: `return call.fail(…)` says why and what is to follow; every other one is a failure that is tried again after an
//! interval, with the error's name as the reason.
//!
//! What becomes of a panic (an index out of bounds, an overflow, `unreachable`, `@panic`): the call ends where it is, the instance is given
//! up, destroyed and created anew before the next update. No `defer` and no `errdefer` of what was left runs, so what they would have freed
//! or unlocked stays as it is: keep what a call allocates in an arena of the instance, which `destroy` frees. Build with -OReleaseSafe; with
//! -OReleaseFast or -OReleaseSmall there are no checks that could panic. A panic on a thread that the plugin has started ends the engine,
//! and so do a stack that overflows and an address that is none.
//!
//! License: MIT OR Apache-2.0, as the crate plugin-api.

const std = @import("std");
const builtin = @import("builtin");
pub const c = @import("c");

/// What a plugin file has to declare as `pub const panic`.
pub const panic = std.debug.FullPanic(struct {
    fn end(message: []const u8, _: ?usize) noreturn {
        c.plugin_guard_panic(message.ptr, message.len);
    }
}.end);

/// The manifest: id ([a-z0-9][a-z0-9_-]{0,63}) and version; durations are a whole number and ms, s, m or h.
pub const Manifest = struct {
    id: []const u8,
    version: []const u8,
    interval: ?[]const u8 = null,
    timeout: ?[]const u8 = null,
    requires: ?[]const u8 = null,
};

pub const Level = enum(u8) { err = 1, warn = 2, info = 3, debug = 4, trace = 5 };

pub const View = enum(u8) { text = 1, svg = 2, png = 3, html = 4, json = 5 };

/// Why a call fails, and whether trying again can help: after an interval, or after this delay.
pub const Failure = struct {
    message: []const u8,
    recoverable: bool = true,
    retry_after_ns: u64 = 0,
};

/// What a call can ask of the engine. Not to be kept: it is there until the call returns.
pub const Call = struct {
    frame: *const c.plugin_call_frame,

    fn services(self: Call) *const c.plugin_host_services {
        return self.frame.services;
    }

    /// The plugin's id.
    pub fn id(self: Call) []const u8 {
        const text = self.services().id.?(self.frame.host);
        return text.data[0..text.length];
    }

    /// Copies a setting that is a text; null where it is none, is not given or does not fit with a zero byte behind it.
    pub fn settingText(self: Call, key: [*:0]const u8, buffer: []u8) ?[:0]const u8 {
        if (!c.plugin_setting_text(self.frame, key, buffer.ptr, buffer.len)) return null;
        return std.mem.sliceTo(@as([*:0]const u8, @ptrCast(buffer.ptr)), 0);
    }

    /// A setting that is a whole number; `otherwise` where it is none or not given.
    pub fn settingU64(self: Call, key: [*:0]const u8, otherwise: u64) u64 {
        return c.plugin_setting_u64(self.frame, key, otherwise);
    }

    /// Whether nobody waits for this call any more.
    pub fn isCancelled(self: Call) bool {
        return c.plugin_is_cancelled(self.frame);
    }

    /// How long until the deadline, in nanoseconds; 0 once it has passed.
    pub fn timeLeftNs(self: Call) u64 {
        return c.plugin_time_left_ns(self.frame);
    }

    /// Says that long work is getting on.
    pub fn recordProgress(self: Call) void {
        c.plugin_record_progress(self.frame);
    }

    /// Publishes the event plugin.<id>.<name>; one of PLUGIN_PUBLISH_….
    pub fn publish(self: Call, name: []const u8, payload: []const u8) u8 {
        return self.services().publish.?(self.frame.host, self.frame.call_id, lend(name), lend(payload));
    }

    /// Writes a line to the engine's log, if somebody listens to that level.
    pub fn log(self: Call, level: Level, message: []const u8) void {
        if (@intFromEnum(level) > self.frame.log_level_max) return;
        const record: c.plugin_log_record = .{
            .level = @intFromEnum(level),
            .target = lend(self.id()),
            .message = lend(message),
            .spans = lend(""),
        };
        self.services().log.?(self.frame.host, self.frame.call_id, &record);
    }

    /// Shows something; in `display`, once.
    pub fn show(self: Call, kind: View, bytes: []const u8) void {
        self.services().view.?(self.frame.reply, @intFromEnum(kind), lendBytes(bytes));
    }

    /// Ends a call as failed: `return call.fail(.{ .message = "…" });`.
    pub fn fail(self: Call, failure: Failure) error{SaidWhy} {
        self.failAs("", failure);
        return error.SaidWhy;
    }

    fn failAs(self: Call, type_name: []const u8, failure: Failure) void {
        const said: c.plugin_failure = .{
            .message = lend(failure.message),
            .type_name = lend(type_name),
            .recoverable = failure.recoverable,
            .retry_after_ns = failure.retry_after_ns,
        };
        self.services().fail.?(self.frame.reply, &said);
    }
};

/// Where a state is handed over to.
pub const Saved = struct {
    out: ?*anyopaque,
    take: c.plugin_take_bytes,

    /// Hands the state over, once.
    pub fn hand(self: Saved, bytes: []const u8) void {
        self.take.?(self.out, lendBytes(bytes));
    }
};

fn lend(text: []const u8) c.plugin_text {
    return .{ .data = text.ptr, .length = text.len };
}

fn lendBytes(bytes: []const u8) c.plugin_bytes {
    return .{ .data = bytes.ptr, .length = bytes.len };
}

/// Runs one call under the guard, and turns what comes out of it into what the contract knows.
fn guarded(frame: [*c]const c.plugin_call_frame, with: anytype) u8 {
    const Work = struct {
        call: Call,
        with: @TypeOf(with),

        fn run(at: ?*anyopaque) callconv(.c) u8 {
            const self: *@This() = @ptrCast(@alignCast(at));
            self.with.run(self.call) catch |found| {
                if (found != error.SaidWhy) {
                    self.call.failAs("anyerror", .{ .message = @errorName(found) });
                }
                return c.PLUGIN_FAILED;
            };
            return c.PLUGIN_COMPLETED;
        }
    };
    var work: Work = .{ .call = .{ .frame = frame }, .with = with };
    return c.plugin_guard(frame, Work.run, &work);
}

fn Shims(comptime P: type) type {
    return struct {
        const has_state = @hasDecl(P, "state_version");

        fn cast(instance: ?*anyopaque) *P {
            return @ptrCast(@alignCast(instance));
        }

        fn create(frame: [*c]const c.plugin_call_frame, instance: [*c]?*anyopaque) callconv(.c) u8 {
            return guarded(frame, struct {
                instance: [*c]?*anyopaque,
                fn run(self: @This(), call: Call) anyerror!void {
                    const made = try std.heap.c_allocator.create(P);
                    errdefer std.heap.c_allocator.destroy(made);
                    made.* = try P.create(call);
                    self.instance.* = made;
                }
            }{ .instance = instance });
        }

        fn update(instance: ?*anyopaque, frame: [*c]const c.plugin_call_frame) callconv(.c) u8 {
            return guarded(frame, struct {
                plugin: *P,
                fn run(self: @This(), call: Call) anyerror!void {
                    try self.plugin.update(call);
                }
            }{ .plugin = cast(instance) });
        }

        fn display(instance: ?*anyopaque, frame: [*c]const c.plugin_call_frame) callconv(.c) u8 {
            return guarded(frame, struct {
                plugin: *P,
                fn run(self: @This(), call: Call) anyerror!void {
                    try self.plugin.display(call);
                }
            }{ .plugin = cast(instance) });
        }

        fn destroy(instance: ?*anyopaque, frame: [*c]const c.plugin_call_frame) callconv(.c) u8 {
            const status = guarded(frame, struct {
                plugin: *P,
                fn run(self: @This(), _: Call) anyerror!void {
                    if (@hasDecl(P, "destroy")) self.plugin.destroy();
                }
            }{ .plugin = cast(instance) });
            std.heap.c_allocator.destroy(cast(instance));
            return status;
        }

        fn schema(out: ?*anyopaque, take: c.plugin_take_text) callconv(.c) u8 {
            take.?(out, lend(P.settings_schema));
            return c.PLUGIN_COMPLETED;
        }

        fn saveState(
            instance: ?*anyopaque,
            frame: [*c]const c.plugin_call_frame,
            out: ?*anyopaque,
            take: c.plugin_take_bytes,
        ) callconv(.c) u8 {
            return guarded(frame, struct {
                plugin: *P,
                saved: Saved,
                fn run(self: @This(), call: Call) anyerror!void {
                    try self.plugin.saveState(call, self.saved);
                }
            }{ .plugin = cast(instance), .saved = .{ .out = out, .take = take } });
        }

        fn restoreState(
            instance: ?*anyopaque,
            frame: [*c]const c.plugin_call_frame,
            version: u32,
            state: c.plugin_bytes,
        ) callconv(.c) u8 {
            return guarded(frame, struct {
                plugin: *P,
                version: u32,
                state: []const u8,
                fn run(self: @This(), call: Call) anyerror!void {
                    try self.plugin.restoreState(call, self.version, self.state);
                }
            }{
                .plugin = cast(instance),
                .version = version,
                .state = if (state.length == 0) "" else state.data[0..state.length],
            });
        }

        const table: c.plugin_module = .{
            .init = c.plugin_no_init,
            .create = create,
            .update = update,
            .display = if (@hasDecl(P, "display")) display else c.plugin_no_display,
            .destroy = destroy,
            .settings_schema = if (@hasDecl(P, "settings_schema")) schema else null,
            .state_version = if (has_state) P.state_version else 0,
            .save_state = if (has_state) saveState else null,
            .restore_state = if (has_state) restoreState else null,
        };

        const header: c.plugin_file_header = .{
            .magic = "plugin-c".*,
            .size = @sizeOf(c.plugin_file_header),
            .module_size = @sizeOf(c.plugin_module),
            .contract = lend(c.PLUGIN_CONTRACT),
            .module = &table,
        };
    };
}

fn part(comptime key: []const u8, comptime value: ?[]const u8) []const u8 {
    return if (value) |some| key ++ "=" ++ some ++ "\n" else "";
}

/// The manifest as an ELF note: without a zero byte at the end of the text, and padded to four bytes.
fn Note(comptime manifest: Manifest) type {
    const text = "manifest=1\n" ++ part("id", manifest.id) ++ part("version", manifest.version) ++
        part("api", c.PLUGIN_API_VERSION) ++ part("compiler", "zig " ++ builtin.zig_version_string) ++
        // Nothing unwinds: what panics is left by a jump inside the file.
        part("target", c.PLUGIN_TARGET) ++ "panic=none\n" ++ part("interval", manifest.interval) ++
        part("timeout", manifest.timeout) ++ part("requires", manifest.requires) ++ "contract=c\n";
    return struct {
        const padded = pad: {
            var bytes: [(text.len + 3) / 4 * 4]u8 = @splat(0);
            @memcpy(bytes[0..text.len], text);
            break :pad bytes;
        };
        const Layout = extern struct {
            name_length: u32,
            description_length: u32,
            type: u32,
            name: [16]u8,
            description: [padded.len]u8,
        };
        const note: Layout = .{
            .name_length = 16,
            .description_length = text.len,
            .type = 1,
            .name = "plugin-manifest\x00".*,
            .description = padded,
        };
    };
}

/// Exports a struct as the plugin of this file. Once per file, in a `comptime` block.
pub fn exportPlugin(comptime P: type, comptime manifest: Manifest) void {
    @export(&Shims(P).header, .{ .name = "plugin_api_c_header" });
    @export(&Note(manifest).note, .{
        .name = "plugin_manifest_note",
        .section = ".note.plugin_engine",
        .visibility = .hidden,
    });
}
