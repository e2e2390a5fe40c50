/*
 * plugin_api.h: the boundary between a plugin file and the engine, for plugins in C (C11), C++ and whatever reads C headers.
 *
 * A plugin is a shared library with three things, for each of which there is a macro below: a manifest, which the engine reads
 * without running any code of the file; a table of functions; and a header that names the table. plugins/c/free_space.c is one:
 *
 *     cc -std=c11 -shared -fPIC -fvisibility=hidden -O2 -I plugin-api/c -o free_space.so plugins/c/free_space.c
 *
 * What the engine holds a plugin to:
 *
 * - It calls an instance from one thread at a time, not always from the same one. Every call has a deadline; one that passes it is
 *   recorded as timed out, and what it returns and says after that is discarded. So ask `plugin_is_cancelled` in long work.
 * - What one side allocates is never freed by the other. Texts and bytes are lent for the time of one call: copy what you keep.
 * - A call returns PLUGIN_COMPLETED; or PLUGIN_FAILED after it has said why with `plugin_fail`, once; or PLUGIN_PANICKED after
 *   `plugin_panic_at`, when it has to give its instance up: the engine destroys it and creates another before the next update.
 * - Nothing may unwind or jump out of a call: no C++ exception, no longjmp. plugin_api.hpp catches exceptions for you.
 *   A crash, `abort` and `exit` end the engine; it says afterwards whose call that was.
 *
 * How the engine knows that the file fits: the manifest names the version of the contract, and the file's header carries the
 * contract as a text (PLUGIN_CONTRACT), which is compared with the engine's before any function is called. The assertions below make
 * that text true of what your compiler made. Fields are only ever added at the end of `plugin_module` and `plugin_host_services`.
 *
 * License: MIT OR Apache-2.0, as the crate plugin-api.
 */
#ifndef PLUGIN_API_H
#define PLUGIN_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if UINTPTR_MAX != 0xffffffffffffffffu
#error "plugin_api.h describes the contract for 64 bits"
#endif

#ifdef __cplusplus
#define PLUGIN_ASSERT(condition) static_assert(condition, "the compiler lays it out in another way: " #condition)
#define PLUGIN_ALIGNOF(type) alignof(type)
extern "C" {
#else
#define PLUGIN_ASSERT(condition) _Static_assert(condition, "the compiler lays it out in another way: " #condition)
#define PLUGIN_ALIGNOF(type) _Alignof(type)
#endif

/* generated from the Rust types: begin */

/* The version of the contract. Engines take plugins of the same leftmost number that is not zero. */
#define PLUGIN_API_VERSION "0.1.0"

/* What a call returns. */
/* The call did what it should. */
#define PLUGIN_COMPLETED 0
/* The call returned an error, which was handed to `HostServices.fail` before. */
#define PLUGIN_FAILED 1
/* The call panicked; the panic was handed to `HostServices.panicked` where it happened. */
#define PLUGIN_PANICKED 2

/* What `publish` returns. */
/* The event was accepted. */
#define PLUGIN_PUBLISH_ACCEPTED 0
/* The name is one of the engine's own, or not of the form `[a-z0-9][a-z0-9_.-]{0,63}`. */
#define PLUGIN_PUBLISH_NAME_REFUSED 1
/* The payload is longer than the engine takes. */
#define PLUGIN_PUBLISH_TOO_LONG 2
/* The call was abandoned or the plugin is no longer active; what it says is discarded. */
#define PLUGIN_PUBLISH_DISCARDED 3

/* The kinds of views. */
/* Nothing to show. */
#define PLUGIN_VIEW_EMPTY 0
/* Plain text, UTF-8. */
#define PLUGIN_VIEW_TEXT 1
/* An SVG document. */
#define PLUGIN_VIEW_SVG 2
/* A PNG image. */
#define PLUGIN_VIEW_PNG 3
/* An HTML fragment or document. */
#define PLUGIN_VIEW_HTML 4
/* A JSON document. */
#define PLUGIN_VIEW_JSON 5

typedef struct plugin_bytes plugin_bytes;
typedef struct plugin_text plugin_text;
typedef struct plugin_log_record plugin_log_record;
typedef struct plugin_failure plugin_failure;
typedef struct plugin_panic plugin_panic;
typedef struct plugin_host_services plugin_host_services;
typedef struct plugin_call_frame plugin_call_frame;
typedef struct plugin_module plugin_module;

/* The engine's side of one plugin, as the plugin holds it: an address that only the engine looks
   behind. */
typedef const void *plugin_host_handle;

/* Bytes. The address may be null if there are none. */
struct plugin_bytes {
    const uint8_t *data;
    size_t length;
};

/* A text: UTF-8, without a zero byte at its end. The address may be null if it is empty. */
struct plugin_text {
    const char *data;
    size_t length;
};

/* One line of a plugin's log. */
struct plugin_log_record {
    /* 1 error, 2 warn, 3 info, 4 debug, 5 trace. */
    uint8_t level;
    /* Where it was logged, as `tracing` has it: mostly the module's path. */
    plugin_text target;
    /* The message with its fields. */
    plugin_text message;
    /* The spans that were entered, outermost first, joined by `:`; or empty. */
    plugin_text spans;
};

/* An error that a call returned. */
struct plugin_failure {
    /* What went wrong. */
    plugin_text message;
    /* The Rust type of the error, or empty. */
    plugin_text type_name;
    /* Whether trying again can help. */
    bool recoverable;
    /* The delay asked for, in nanoseconds; 0 where none was. */
    uint64_t retry_after_ns;
};

/* A panic, where it happened. */
struct plugin_panic {
    /* The panic's message. */
    plugin_text message;
    /* The source file. */
    plugin_text file;
    /* The line in it, from 1. */
    uint32_t line;
    /* The column in it, from 1. */
    uint32_t column;
};

/* What the engine does for plugins. Every function may be called from any thread and never unwinds. */
struct plugin_host_services {
    /* Bit n says that the n-th function below is there. The engine's may have more than this header knows. */
    uint64_t present;
    const void *reserved;
    /* Keeps the host alive until `release`. */
    void (*retain)(plugin_host_handle host);
    /* Gives back one `retain`. */
    void (*release)(plugin_host_handle host);
    /* The engine's monotonic clock, in nanoseconds. */
    uint64_t (*now_ns)(plugin_host_handle host);
    /* Whether nobody waits for this call any more. */
    bool (*is_cancelled)(plugin_host_handle host, uint64_t call_id);
    /* Records that the call is getting on with its work. */
    void (*record_progress)(plugin_host_handle host, uint64_t call_id);
    /* Publishes the event `plugin.<id>.<name>`. Returns one of `publish_status`. */
    uint8_t (*publish)(plugin_host_handle host, uint64_t call_id, plugin_text name, plugin_text payload);
    /* Hands a line of log to the engine's subscriber. `call_id` is 0 outside any call. */
    void (*log)(plugin_host_handle host, uint64_t call_id, const plugin_log_record *record);
    /* The plugin's settings as a JSON object. Lent for as long as the host is kept. */
    plugin_text (*settings)(plugin_host_handle host);
    /* The plugin's id. Lent for as long as the host is kept. */
    plugin_text (*id)(plugin_host_handle host);
    /* Says why the call that `reply` belongs to fails. */
    void (*fail)(void *reply, const plugin_failure *failure);
    /* Hands over what a display shows. */
    void (*view)(void *reply, uint8_t kind, plugin_bytes bytes);
    /* Says that a panic happens, from within the panic hook. `reply` is null outside any call. */
    void (*panicked)(plugin_host_handle host, void *reply, const plugin_panic *panic);
};

/* What the engine lends a plugin for the time of one call. */
struct plugin_call_frame {
    /* The engine's side of this plugin. */
    plugin_host_handle host;
    /* What the engine does for plugins. */
    const plugin_host_services *services;
    /* Where the engine collects what this call says of itself; handed back to `fail`, `panicked` and
       `view`. */
    void *reply;
    /* The number of this call, unique within the plugin. */
    uint64_t call_id;
    /* The deadline of this call, in nanoseconds of the engine's monotonic clock. */
    uint64_t deadline_ns;
    /* The most verbose level that somebody listens to: 0 off, 1 error … 5 trace. */
    uint8_t log_level_max;
};

/* Where a text is handed over to: called during the call that it was given to, with the address that
   came with it. */
typedef void (*plugin_take_text)(void *out, plugin_text text);

/* Where bytes are handed over to, likewise. */
typedef void (*plugin_take_bytes)(void *out, plugin_bytes bytes);

/* What a plugin file offers: a flat table of shims around one `impl Plugin`. None of them unwinds. */
struct plugin_module {
    /* Called once after the load, before anything else: installs the panic hook and the log. The host
       stands for the file itself, for threads that are in no call. */
    void (*init)(plugin_host_handle host, const plugin_host_services *services);
    /* Makes an instance and writes its address; null unless the status is COMPLETED. */
    uint8_t (*create)(const plugin_call_frame *frame, void **instance);
    /* Updates the instance. */
    uint8_t (*update)(void *instance, const plugin_call_frame *frame);
    /* Displays the instance. */
    uint8_t (*display)(void *instance, const plugin_call_frame *frame);
    /* Destroys the instance, whatever the status: the address is not valid afterwards. */
    uint8_t (*destroy)(void *instance, const plugin_call_frame *frame);
    /* Hands the JSON Schema of the plugin's settings to `take`, or nothing where it has none. Called
       once after `init`. If the status is PANICKED, what was handed over is the panic's message. */
    uint8_t (*settings_schema)(void *out, plugin_take_text take);
    /* The version of the state that instances save; 0 where they save none. */
    uint32_t state_version;
    /* Hands the state of the instance to `take`. Not called where `state_version` is 0. */
    uint8_t (*save_state)(void *instance, const plugin_call_frame *frame, void *out, plugin_take_bytes take);
    /* Takes over the state that an instance before has saved under `version`. Not called where
       `state_version` is 0. */
    uint8_t (*restore_state)(void *instance, const plugin_call_frame *frame, uint32_t version, plugin_bytes state);
    /* Gives back what `init` took. Called once, as the very last, before the file is unmapped: no
       instance is left, and no thread runs code of the file. Not called for a file that stays mapped. */
    void (*release)(void);
};

/* What this header says of the contract; a file carries it, and the engine compares it with its own, line by line. */
#define PLUGIN_CONTRACT \
    "const PLUGIN_COMPLETED 0\n" \
    "const PLUGIN_FAILED 1\n" \
    "const PLUGIN_PANICKED 2\n" \
    "const PLUGIN_PUBLISH_ACCEPTED 0\n" \
    "const PLUGIN_PUBLISH_NAME_REFUSED 1\n" \
    "const PLUGIN_PUBLISH_TOO_LONG 2\n" \
    "const PLUGIN_PUBLISH_DISCARDED 3\n" \
    "const PLUGIN_VIEW_EMPTY 0\n" \
    "const PLUGIN_VIEW_TEXT 1\n" \
    "const PLUGIN_VIEW_SVG 2\n" \
    "const PLUGIN_VIEW_PNG 3\n" \
    "const PLUGIN_VIEW_HTML 4\n" \
    "const PLUGIN_VIEW_JSON 5\n" \
    "struct HostHandle 8 8\n" \
    "HostHandle.0 @0 *const ()\n" \
    "struct RSlice<u8> 16 8\n" \
    "RSlice<u8>.data @0 *const u8\n" \
    "RSlice<u8>.length @8 usize\n" \
    "struct RStr 16 8\n" \
    "RStr.inner @0 RSlice<u8>\n" \
    "struct LogRecord 56 8\n" \
    "LogRecord.level @0 u8\n" \
    "LogRecord.target @8 RStr\n" \
    "LogRecord.message @24 RStr\n" \
    "LogRecord.spans @40 RStr\n" \
    "struct Failure 48 8\n" \
    "Failure.message @0 RStr\n" \
    "Failure.type_name @16 RStr\n" \
    "Failure.recoverable @32 bool\n" \
    "Failure.retry_after_ns @40 u64\n" \
    "struct Panic 40 8\n" \
    "Panic.message @0 RStr\n" \
    "Panic.file @16 RStr\n" \
    "Panic.line @32 u32\n" \
    "Panic.column @36 u32\n" \
    "table HostServices 12\n" \
    "HostServices.retain @0 fn(HostHandle)\n" \
    "HostServices.release @8 fn(HostHandle)\n" \
    "HostServices.now_ns @16 fn(HostHandle) -> u64\n" \
    "HostServices.is_cancelled @24 fn(HostHandle, u64) -> bool\n" \
    "HostServices.record_progress @32 fn(HostHandle, u64)\n" \
    "HostServices.publish @40 fn(HostHandle, u64, RStr, RStr) -> u8\n" \
    "HostServices.log @48 fn(HostHandle, u64, &LogRecord)\n" \
    "HostServices.settings @56 fn(HostHandle) -> RStr\n" \
    "HostServices.id @64 fn(HostHandle) -> RStr\n" \
    "HostServices.fail @72 fn(*mut (), &Failure)\n" \
    "HostServices.view @80 fn(*mut (), u8, RSlice<u8>)\n" \
    "HostServices.panicked @88 fn(HostHandle, *mut (), &Panic)\n" \
    "struct CallFrame 48 8\n" \
    "CallFrame.host @0 HostHandle\n" \
    "CallFrame.services @8 HostServicesRef\n" \
    "CallFrame.reply @16 *mut ()\n" \
    "CallFrame.call_id @24 u64\n" \
    "CallFrame.deadline_ns @32 u64\n" \
    "CallFrame.log_level_max @40 u8\n" \
    "struct TakeText 8 8\n" \
    "TakeText.0 @0 fn(*mut (), RStr)\n" \
    "struct TakeBytes 8 8\n" \
    "TakeBytes.0 @0 fn(*mut (), RSlice<u8>)\n" \
    "table PluginModule 5\n" \
    "PluginModule.init @0 fn(HostHandle, HostServicesRef)\n" \
    "PluginModule.create @8 fn(&CallFrame, &mut *mut ()) -> u8\n" \
    "PluginModule.update @16 fn(*mut (), &CallFrame) -> u8\n" \
    "PluginModule.display @24 fn(*mut (), &CallFrame) -> u8\n" \
    "PluginModule.destroy @32 fn(*mut (), &CallFrame) -> u8\n" \
    "PluginModule.settings_schema @40 fn(*mut (), TakeText) -> u8\n" \
    "PluginModule.state_version @48 u32\n" \
    "PluginModule.save_state @56 fn(*mut (), &CallFrame, *mut (), TakeBytes) -> u8\n" \
    "PluginModule.restore_state @64 fn(*mut (), &CallFrame, u32, RSlice<u8>) -> u8\n" \
    "PluginModule.release @72 fn()\n"

/* The compiler lays everything out as that says. */
PLUGIN_ASSERT(sizeof(plugin_host_handle) == 8);
PLUGIN_ASSERT(PLUGIN_ALIGNOF(plugin_host_handle) == 8);
PLUGIN_ASSERT(sizeof(plugin_bytes) == 16);
PLUGIN_ASSERT(PLUGIN_ALIGNOF(plugin_bytes) == 8);
PLUGIN_ASSERT(offsetof(plugin_bytes, data) == 0);
PLUGIN_ASSERT(offsetof(plugin_bytes, length) == 8);
PLUGIN_ASSERT(sizeof(plugin_text) == 16);
PLUGIN_ASSERT(PLUGIN_ALIGNOF(plugin_text) == 8);
PLUGIN_ASSERT(offsetof(plugin_text, data) == 0);
PLUGIN_ASSERT(sizeof(plugin_log_record) == 56);
PLUGIN_ASSERT(PLUGIN_ALIGNOF(plugin_log_record) == 8);
PLUGIN_ASSERT(offsetof(plugin_log_record, level) == 0);
PLUGIN_ASSERT(offsetof(plugin_log_record, target) == 8);
PLUGIN_ASSERT(offsetof(plugin_log_record, message) == 24);
PLUGIN_ASSERT(offsetof(plugin_log_record, spans) == 40);
PLUGIN_ASSERT(sizeof(plugin_failure) == 48);
PLUGIN_ASSERT(PLUGIN_ALIGNOF(plugin_failure) == 8);
PLUGIN_ASSERT(offsetof(plugin_failure, message) == 0);
PLUGIN_ASSERT(offsetof(plugin_failure, type_name) == 16);
PLUGIN_ASSERT(offsetof(plugin_failure, recoverable) == 32);
PLUGIN_ASSERT(offsetof(plugin_failure, retry_after_ns) == 40);
PLUGIN_ASSERT(sizeof(plugin_panic) == 40);
PLUGIN_ASSERT(PLUGIN_ALIGNOF(plugin_panic) == 8);
PLUGIN_ASSERT(offsetof(plugin_panic, message) == 0);
PLUGIN_ASSERT(offsetof(plugin_panic, file) == 16);
PLUGIN_ASSERT(offsetof(plugin_panic, line) == 32);
PLUGIN_ASSERT(offsetof(plugin_panic, column) == 36);
PLUGIN_ASSERT(offsetof(plugin_host_services, retain) == 16);
PLUGIN_ASSERT(offsetof(plugin_host_services, release) == 24);
PLUGIN_ASSERT(offsetof(plugin_host_services, now_ns) == 32);
PLUGIN_ASSERT(offsetof(plugin_host_services, is_cancelled) == 40);
PLUGIN_ASSERT(offsetof(plugin_host_services, record_progress) == 48);
PLUGIN_ASSERT(offsetof(plugin_host_services, publish) == 56);
PLUGIN_ASSERT(offsetof(plugin_host_services, log) == 64);
PLUGIN_ASSERT(offsetof(plugin_host_services, settings) == 72);
PLUGIN_ASSERT(offsetof(plugin_host_services, id) == 80);
PLUGIN_ASSERT(offsetof(plugin_host_services, fail) == 88);
PLUGIN_ASSERT(offsetof(plugin_host_services, view) == 96);
PLUGIN_ASSERT(offsetof(plugin_host_services, panicked) == 104);
PLUGIN_ASSERT(sizeof(plugin_call_frame) == 48);
PLUGIN_ASSERT(PLUGIN_ALIGNOF(plugin_call_frame) == 8);
PLUGIN_ASSERT(offsetof(plugin_call_frame, host) == 0);
PLUGIN_ASSERT(offsetof(plugin_call_frame, services) == 8);
PLUGIN_ASSERT(offsetof(plugin_call_frame, reply) == 16);
PLUGIN_ASSERT(offsetof(plugin_call_frame, call_id) == 24);
PLUGIN_ASSERT(offsetof(plugin_call_frame, deadline_ns) == 32);
PLUGIN_ASSERT(offsetof(plugin_call_frame, log_level_max) == 40);
PLUGIN_ASSERT(sizeof(plugin_take_text) == 8);
PLUGIN_ASSERT(PLUGIN_ALIGNOF(plugin_take_text) == 8);
PLUGIN_ASSERT(sizeof(plugin_take_bytes) == 8);
PLUGIN_ASSERT(PLUGIN_ALIGNOF(plugin_take_bytes) == 8);
PLUGIN_ASSERT(offsetof(plugin_module, init) == 0);
PLUGIN_ASSERT(offsetof(plugin_module, create) == 8);
PLUGIN_ASSERT(offsetof(plugin_module, update) == 16);
PLUGIN_ASSERT(offsetof(plugin_module, display) == 24);
PLUGIN_ASSERT(offsetof(plugin_module, destroy) == 32);
PLUGIN_ASSERT(offsetof(plugin_module, settings_schema) == 40);
PLUGIN_ASSERT(offsetof(plugin_module, state_version) == 48);
PLUGIN_ASSERT(offsetof(plugin_module, save_state) == 56);
PLUGIN_ASSERT(offsetof(plugin_module, restore_state) == 64);
PLUGIN_ASSERT(offsetof(plugin_module, release) == 72);

/* generated from the Rust types: end */

/* What a plugin file exports under the name plugin_api_c_header. PLUGIN_EXPORT writes it. */
typedef struct plugin_file_header {
    char magic[8];        /* "plugin-c" */
    uint32_t size;        /* of this structure */
    uint32_t module_size; /* of the table that `module` names */
    plugin_text contract; /* PLUGIN_CONTRACT */
    const plugin_module *module;
} plugin_file_header;

PLUGIN_ASSERT(sizeof(plugin_file_header) == 40);

#define PLUGIN_VISIBLE __attribute__((visibility("default")))

/*
 * The manifest.
 */

/* Optional parts of a manifest: durations are a whole number and ms, s, m or h. What a plugin requires is a list like
   "clock >= 1.2, feed". */
#define PLUGIN_INTERVAL(duration) "interval=" duration "\n"
#define PLUGIN_TIMEOUT(duration) "timeout=" duration "\n"
#define PLUGIN_REQUIRES(list) "requires=" list "\n"

/* What compiled the file. */
#if defined(__clang__)
#define PLUGIN_COMPILER __VERSION__
#elif defined(__GNUC__)
#define PLUGIN_COMPILER "gcc " __VERSION__
#else
#define PLUGIN_COMPILER "an unknown compiler"
#endif

/* What it was compiled for. */
#if defined(__x86_64__)
#define PLUGIN_ARCHITECTURE "x86_64"
#elif defined(__aarch64__)
#define PLUGIN_ARCHITECTURE "aarch64"
#elif defined(__riscv)
#define PLUGIN_ARCHITECTURE "riscv64"
#else
#define PLUGIN_ARCHITECTURE "unknown"
#endif
#if defined(__linux__) && defined(__GLIBC__)
#define PLUGIN_TARGET PLUGIN_ARCHITECTURE "-unknown-linux-gnu"
#elif defined(__linux__)
#define PLUGIN_TARGET PLUGIN_ARCHITECTURE "-unknown-linux"
#elif defined(__APPLE__)
#define PLUGIN_TARGET PLUGIN_ARCHITECTURE "-apple-darwin"
#else
#define PLUGIN_TARGET PLUGIN_ARCHITECTURE "-unknown"
#endif

/* What the engine calls the panic strategy. `none`: nothing in the file unwinds. `unwind`: what unwinds is caught inside it, as
   plugin_api.hpp does. */
#ifndef PLUGIN_PANIC
#define PLUGIN_PANIC "none"
#endif

#if defined(__APPLE__)
#define PLUGIN_NOTE __attribute__((section("__DATA,__plugin_engine"), used, aligned(4)))
#else
#define PLUGIN_NOTE __attribute__((section(".note.plugin_engine"), used, aligned(4)))
#endif

/* The text of the manifest, a key=value on each line. `contract=c` says that the file has the header below, not Rust's. */
#define PLUGIN_MANIFEST_TEXT(id, version, more)                                                                       \
    "manifest=1\nid=" id "\nversion=" version "\napi=" PLUGIN_API_VERSION "\ncompiler=" PLUGIN_COMPILER                 \
    "\ntarget=" PLUGIN_TARGET "\npanic=" PLUGIN_PANIC "\n" more "contract=c\n"

#ifndef __cplusplus
/* The manifest: id ([a-z0-9][a-z0-9_-]{0,63}), version, and the optional parts one behind the other:

       PLUGIN_MANIFEST("free-space", "1.0.0", PLUGIN_INTERVAL("30s") PLUGIN_TIMEOUT("2s"))

   It lies in the file as an ELF note, without the zero byte and padded to four bytes. */
#define PLUGIN_MANIFEST(id, version, more)                                                                             \
    PLUGIN_NOTE static const struct {                                                                                  \
        uint32_t name_length, description_length, type;                                                                \
        char name[16];                                                                                                 \
        char description[(sizeof(PLUGIN_MANIFEST_TEXT(id, version, more)) + 2) / 4 * 4];                               \
    } plugin_manifest_note = {16, sizeof(PLUGIN_MANIFEST_TEXT(id, version, more)) - 1, 1, "plugin-manifest",           \
                              PLUGIN_MANIFEST_TEXT(id, version, more)};

/* The table of functions and the header that names it. Functions in the order above up to `destroy` are needed, those behind it may
   be left out (null), but for both of the state where `state_version` is not 0:

       PLUGIN_EXPORT(.init = plugin_no_init, .create = create, .update = update, .display = display, .destroy = destroy)
 */
#define PLUGIN_EXPORT(...)                                                                                             \
    static const plugin_module plugin_module_table = {__VA_ARGS__};                                                    \
    PLUGIN_VISIBLE extern const plugin_file_header plugin_api_c_header;                                                \
    const plugin_file_header plugin_api_c_header = {{'p', 'l', 'u', 'g', 'i', 'n', '-', 'c'},                          \
                                                    sizeof(plugin_file_header),                                        \
                                                    sizeof(plugin_module),                                             \
                                                    {PLUGIN_CONTRACT, sizeof(PLUGIN_CONTRACT) - 1},                    \
                                                    &plugin_module_table};
#endif

/*
 * What follows is for comfort: short names for what a call can ask of the engine.
 */

/* The text of a string that ends with a zero byte. */
static inline plugin_text plugin_text_of(const char *string) {
    plugin_text text = {string, strlen(string)};
    return text;
}

/* For `init`, where there is nothing to prepare. */
static inline void plugin_no_init(plugin_host_handle host, const plugin_host_services *services) {
    (void)host;
    (void)services;
}

/* For `display`, where there is nothing to show. */
static inline uint8_t plugin_no_display(void *instance, const plugin_call_frame *frame) {
    plugin_bytes nothing = {NULL, 0};
    (void)instance;
    frame->services->view(frame->reply, PLUGIN_VIEW_EMPTY, nothing);
    return PLUGIN_COMPLETED;
}

/* Whether nobody waits for this call any more: return soon, whatever with. */
static inline bool plugin_is_cancelled(const plugin_call_frame *frame) {
    return frame->services->is_cancelled(frame->host, frame->call_id);
}

/* How long until the deadline, in nanoseconds; 0 once it has passed. */
static inline uint64_t plugin_time_left_ns(const plugin_call_frame *frame) {
    uint64_t now = frame->services->now_ns(frame->host);
    return frame->deadline_ns > now ? frame->deadline_ns - now : 0;
}

/* Says that long work is getting on. */
static inline void plugin_record_progress(const plugin_call_frame *frame) {
    frame->services->record_progress(frame->host, frame->call_id);
}

/* Publishes the event plugin.<id>.<name>; one of PLUGIN_PUBLISH_…. */
static inline uint8_t plugin_publish(const plugin_call_frame *frame, const char *name, const char *payload) {
    return frame->services->publish(frame->host, frame->call_id, plugin_text_of(name), plugin_text_of(payload));
}

/* Levels of the log. */
#define PLUGIN_ERROR 1
#define PLUGIN_WARN 2
#define PLUGIN_INFO 3
#define PLUGIN_DEBUG 4
#define PLUGIN_TRACE 5

/* Writes a line to the engine's log, if somebody listens to that level. */
static inline void plugin_log(const plugin_call_frame *frame, uint8_t level, const char *message) {
    if (level <= frame->log_level_max) {
        plugin_log_record record = {level, {NULL, 0}, plugin_text_of(message), {NULL, 0}};
        record.target = frame->services->id(frame->host);
        frame->services->log(frame->host, frame->call_id, &record);
    }
}

/* Shows a text. */
static inline uint8_t plugin_show_text(const plugin_call_frame *frame, const char *text) {
    plugin_bytes bytes = {(const uint8_t *)text, strlen(text)};
    frame->services->view(frame->reply, PLUGIN_VIEW_TEXT, bytes);
    return PLUGIN_COMPLETED;
}

/* Ends a call as failed: `return plugin_fail(frame, "…");`. The plugin stays enabled and is tried again after an interval. */
static inline uint8_t plugin_fail(const plugin_call_frame *frame, const char *message) {
    plugin_failure failure = {plugin_text_of(message), {NULL, 0}, true, 0};
    frame->services->fail(frame->reply, &failure);
    return PLUGIN_FAILED;
}

/* Ends a call as failed, to be tried again after this many nanoseconds. */
static inline uint8_t plugin_fail_and_retry(const plugin_call_frame *frame, const char *message, uint64_t after_ns) {
    plugin_failure failure = {plugin_text_of(message), {NULL, 0}, true, after_ns};
    frame->services->fail(frame->reply, &failure);
    return PLUGIN_FAILED;
}

/* Ends a call as failed in a way that trying again does not mend: the plugin goes into the state Error. */
static inline uint8_t plugin_fail_for_good(const plugin_call_frame *frame, const char *message) {
    plugin_failure failure = {plugin_text_of(message), {NULL, 0}, false, 0};
    frame->services->fail(frame->reply, &failure);
    return PLUGIN_FAILED;
}

/* Ends a call and gives the instance up, which no call will be made to any more but `destroy`:
   `return plugin_panic_at(frame, "…", __FILE__, __LINE__);`. */
static inline uint8_t plugin_panic_at(const plugin_call_frame *frame, const char *message, const char *file, uint32_t line) {
    plugin_panic panic = {plugin_text_of(message), plugin_text_of(file), line, 0};
    frame->services->panicked(frame->host, frame->reply, &panic);
    return PLUGIN_PANICKED;
}

/*
 * Settings. They are a JSON object on one line, which the engine has compared with the schema of the plugin before, if it gives one:
 * these find a value in it and take it at its word. Keys are looked for at the top only.
 */

/* The end of the JSON value at `at`, or of the text. */
static inline const char *plugin_json_end(const char *at, const char *end) {
    int depth = 0;
    bool quoted = false;
    for (; at < end; at++) {
        if (quoted) {
            if (*at == '\\' && at + 1 < end) {
                at++;
            } else if (*at == '"') {
                quoted = false;
            }
        } else if (*at == '"') {
            quoted = true;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (depth > 0 && (*at == '}' || *at == ']')) {
            depth--;
        } else if (depth == 0 && (*at == ',' || *at == ':' || *at == '}' || *at == ']')) {
            break;
        }
    }
    return at;
}

/* The JSON value of a key, as it stands there; with no address where there is none. */
static inline plugin_text plugin_setting(const plugin_call_frame *frame, const char *key) {
    plugin_text settings = frame->services->settings(frame->host), none = {NULL, 0};
    const char *at = settings.data, *end = settings.data + settings.length;
    size_t key_length = strlen(key);
    while (at < end && (*at == '{' || *at == ',')) {
        const char *name = at + 1, *name_end = plugin_json_end(name, end);
        const char *value = name_end < end ? name_end + 1 : end, *value_end = plugin_json_end(value, end);
        bool found = (size_t)(name_end - name) == key_length + 2 && memcmp(name + 1, key, key_length) == 0;
        if (found) {
            plugin_text text = {value, (size_t)(value_end - value)};
            return text;
        }
        at = value_end;
    }
    return none;
}

/* A setting that is a whole number from 0 to 2^64 - 1; `otherwise` where it is none or not given. */
static inline uint64_t plugin_setting_u64(const plugin_call_frame *frame, const char *key, uint64_t otherwise) {
    plugin_text value = plugin_setting(frame, key);
    uint64_t number = 0;
    size_t at;
    for (at = 0; at < value.length; at++) {
        uint64_t digit = (uint64_t)(unsigned char)value.data[at] - '0';
        if (digit > 9 || number > (UINT64_MAX - digit) / 10) {
            return otherwise;
        }
        number = number * 10 + digit;
    }
    return value.length > 0 ? number : otherwise;
}

/* Copies a setting that is a text, with a zero byte at its end. False if it is not given, is no text, does not fit, or has anything
   in it that JSON writes with a number (\u…). */
static inline bool plugin_setting_text(const plugin_call_frame *frame, const char *key, char *out, size_t size) {
    static const char escapes[] = "\"\\/bfnrt", plain[] = "\"\\/\b\f\n\r\t";
    plugin_text value = plugin_setting(frame, key);
    size_t at, length = 0;
    if (value.length < 2 || value.data[0] != '"') {
        return false;
    }
    for (at = 1; at + 1 < value.length; at++) {
        char c = value.data[at];
        if (c == '\\') {
            const char *escape = strchr(escapes, value.data[++at]);
            if (escape == NULL || *escape == '\0') {
                return false;
            }
            c = plain[escape - escapes];
        }
        if (length + 1 >= size) {
            return false;
        }
        out[length++] = c;
    }
    out[length] = '\0';
    return true;
}

#ifdef __cplusplus
}
#endif

#endif
