/*
 * A plugin in C whose header says what is not so, or names what is not there. SIN says which, TEXT another contract.
 */
#include "plugin_api.h"

#define GOOD 0
#define OTHER_MARK 1
#define SHORT_HEADER 2
#define NO_CONTRACT 3
#define LONG_CONTRACT 4
#define OTHER_CONTRACT 5
#define NO_TEXT 6
#define NO_TABLE 7
#define SHORT_TABLE 8
#define NO_UPDATE 9
#define NO_SAVE 10
#define BOTH_HEADERS 11
#define NO_HEADER 12
#define OLDER 13
#define NEWER 14
#define CROOKED_TABLE 15

PLUGIN_MANIFEST("misbuilt", "1.0.0", PLUGIN_INTERVAL("1s"))

static uint8_t create(const plugin_call_frame *frame, void **instance) {
    static int object;
    (void)frame;
    *instance = &object;
    return PLUGIN_COMPLETED;
}

static uint8_t no_call(void *instance, const plugin_call_frame *frame) {
    (void)instance;
    (void)frame;
    return PLUGIN_COMPLETED;
}

/* The table of tomorrow. */
struct newer {
    plugin_module known;
    void (*more)(void);
};

const struct newer table = {{
                                       .init = plugin_no_init,
                                       .create = create,
#if SIN != NO_UPDATE
                                       .update = no_call,
#endif
                                       .display = plugin_no_display,
                                       .destroy = no_call,
#if SIN == NO_SAVE
                                       .state_version = 1,
#endif
                                   },
                                   NULL};

#if SIN == OTHER_CONTRACT || SIN == OLDER
#define CONTRACT TEXT
#elif SIN == NO_TEXT
#define CONTRACT PLUGIN_CONTRACT "\xff\xfe"
#elif SIN == NEWER
#define CONTRACT PLUGIN_CONTRACT "PluginModule.more @80 fn()\n"
#else
#define CONTRACT PLUGIN_CONTRACT
#endif

#if SIN != NO_HEADER
PLUGIN_VISIBLE extern const plugin_file_header plugin_api_c_header;
const plugin_file_header plugin_api_c_header = {
    {'p', 'l', 'u', 'g', 'i', 'n', SIN == OTHER_MARK ? '+' : '-', 'c'},
    SIN == SHORT_HEADER ? 8 : sizeof(plugin_file_header),
    SIN == SHORT_TABLE ? 40
    : SIN == OLDER     ? 56
    : SIN == NEWER     ? sizeof(struct newer)
                       : sizeof(plugin_module),
    {SIN == NO_CONTRACT ? NULL : CONTRACT, SIN == LONG_CONTRACT ? 1u << 20 : sizeof(CONTRACT) - 1},
    SIN == NO_TABLE ? NULL : SIN == CROOKED_TABLE ? (const plugin_module *)((const char *)&table + 1) : &table.known,
};
#endif

#if SIN == BOTH_HEADERS
PLUGIN_VISIBLE const char rust_header[256] __asm__("_1as_0lib_1header_0root_bmodule_bloader") = {0};
#endif
