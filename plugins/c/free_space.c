/*
 * Watches how much room a file system has left, shows it, and publishes an event when it gets less than it should be and when it is
 * enough again.
 *
 * It is a lesson in what a plugin in C has to do itself: each call ends by returning a status, what is allocated in `create` is freed
 * in `destroy`, what was warned of is handed over at a reload, and no text is kept that was only lent.
 */
#define _POSIX_C_SOURCE 200809L

#include "plugin_api.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#define MIB (1024u * 1024u)

PLUGIN_MANIFEST("free-space", "1.0.0", PLUGIN_INTERVAL("30s") PLUGIN_TIMEOUT("2s"))

struct free_space {
    char path[4096];
    uint64_t least_mib;
    uint64_t free_mib, size_mib;
    /* Whether it was published that there is too little. */
    bool is_low;
};

static uint8_t settings_schema(void *out, plugin_take_text take) {
    take(out, plugin_text_of("{\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"path\"], \"properties\": {"
                             "\"path\": {\"type\": \"string\", \"minLength\": 1, \"maxLength\": 1000,"
                             " \"description\": \"A file or directory of the file system.\"},"
                             "\"least_mib\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": 1000000000000,"
                             " \"description\": \"How many MiB ought to be free. Default: 1024.\"}}}"));
    return PLUGIN_COMPLETED;
}

static uint8_t create(const plugin_call_frame *frame, void **instance) {
    struct free_space *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return plugin_fail(frame, "no memory");
    }
    if (!plugin_setting_text(frame, "path", self->path, sizeof self->path)) {
        free(self);
        return plugin_fail_for_good(frame, "settings.path: not a text of less than 4096 bytes");
    }
    self->least_mib = plugin_setting_u64(frame, "least_mib", 1024);
    *instance = self;
    return PLUGIN_COMPLETED;
}

static uint8_t update(void *instance, const plugin_call_frame *frame) {
    struct free_space *self = instance;
    struct statvfs found;
    char text[4200];
    bool is_low;
    if (statvfs(self->path, &found) != 0) {
        snprintf(text, sizeof text, "%s: %s", self->path, strerror(errno));
        return plugin_fail(frame, text);
    }
    self->free_mib = (uint64_t)found.f_bavail * found.f_frsize / MIB;
    self->size_mib = (uint64_t)found.f_blocks * found.f_frsize / MIB;
    is_low = self->free_mib < self->least_mib;
    if (is_low != self->is_low) {
        snprintf(text, sizeof text, "%" PRIu64 " MiB", self->free_mib);
        plugin_publish(frame, is_low ? "low" : "enough", text);
        plugin_log(frame, is_low ? PLUGIN_WARN : PLUGIN_INFO, text);
        self->is_low = is_low;
    }
    return PLUGIN_COMPLETED;
}

static uint8_t display(void *instance, const plugin_call_frame *frame) {
    struct free_space *self = instance;
    char text[4400];
    if (self->size_mib == 0) {
        return plugin_show_text(frame, "not looked at yet");
    }
    snprintf(text, sizeof text, "%s: %" PRIu64 " of %" PRIu64 " MiB free%s", self->path, self->free_mib, self->size_mib,
             self->is_low ? ", which is too little" : "");
    return plugin_show_text(frame, text);
}

static uint8_t destroy(void *instance, const plugin_call_frame *frame) {
    (void)frame;
    free(instance);
    return PLUGIN_COMPLETED;
}

/* The state is one byte: whether there was too little, so that a reload does not publish it again. */
static uint8_t save_state(void *instance, const plugin_call_frame *frame, void *out, plugin_take_bytes take) {
    struct free_space *self = instance;
    uint8_t state = self->is_low;
    plugin_bytes bytes = {&state, 1};
    (void)frame;
    take(out, bytes);
    return PLUGIN_COMPLETED;
}

static uint8_t restore_state(void *instance, const plugin_call_frame *frame, uint32_t version, plugin_bytes state) {
    struct free_space *self = instance;
    if (version != 1 || state.length != 1) {
        return plugin_fail_for_good(frame, "the state is not of version 1");
    }
    self->is_low = state.data[0] != 0;
    return PLUGIN_COMPLETED;
}

PLUGIN_EXPORT(.init = plugin_no_init, .create = create, .update = update, .display = display, .destroy = destroy,
              .settings_schema = settings_schema, .state_version = 1, .save_state = save_state,
              .restore_state = restore_state)
