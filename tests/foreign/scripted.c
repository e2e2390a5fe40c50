/*
 * A plugin in C that does what its settings say, to be seen through the engine.
 *
 * Built by the harness; VERSION may be given, so that another build takes over from one before.
 */
#define _POSIX_C_SOURCE 200809L

#include "plugin_api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifndef VERSION
#define VERSION "1.0.0"
#endif

PLUGIN_MANIFEST("scripted", VERSION, PLUGIN_INTERVAL("1s") PLUGIN_TIMEOUT("500ms"))

struct scripted {
    char task[64];
    uint64_t count;
};

static bool is(const struct scripted *self, const char *task) { return strcmp(self->task, task) == 0; }

static uint8_t create(const plugin_call_frame *frame, void **instance) {
    struct scripted *self = calloc(1, sizeof *self);
    if (self == NULL || !plugin_setting_text(frame, "do", self->task, sizeof self->task)) {
        free(self);
        return plugin_fail_for_good(frame, "settings.do is not given");
    }
    self->count = plugin_setting_u64(frame, "start", 0);
    *instance = is(self, "make nothing") ? NULL : self;
    return PLUGIN_COMPLETED;
}

static uint8_t update(void *instance, const plugin_call_frame *frame) {
    static const struct timespec pause = {0, 1000 * 1000};
    struct scripted *self = instance;
    char text[64];
    if (is(self, "fail")) {
        return plugin_fail(frame, "not today");
    } else if (is(self, "fail and retry")) {
        return plugin_fail_and_retry(frame, "in a moment", 250u * 1000 * 1000);
    } else if (is(self, "fail for good")) {
        return plugin_fail_for_good(frame, "never");
    } else if (is(self, "panic")) {
        return plugin_panic_at(frame, "out of my depth", "scripted.c", 7);
    } else if (is(self, "fail in silence")) {
        return PLUGIN_FAILED;
    } else if (is(self, "return nonsense")) {
        return 77;
    } else if (is(self, "say nonsense")) {
        return plugin_fail(frame, "caf\xe9");
    } else if (is(self, "crash")) {
        abort();
    } else if (is(self, "wait")) {
        plugin_publish(frame, "waiting", "");
        while (!plugin_is_cancelled(frame)) {
            nanosleep(&pause, NULL);
        }
        return plugin_fail(frame, "told to stop");
    }
    self->count++;
    plugin_record_progress(frame);
    snprintf(text, sizeof text, "%" PRIu64, self->count);
    if (plugin_publish(frame, "count", text) != PLUGIN_PUBLISH_ACCEPTED ||
        plugin_publish(frame, "unhealthy", "") != PLUGIN_PUBLISH_NAME_REFUSED) {
        return plugin_fail(frame, "the engine takes what it should not");
    }
    plugin_log(frame, PLUGIN_INFO, "counted");
    return PLUGIN_COMPLETED;
}

static uint8_t display(void *instance, const plugin_call_frame *frame) {
    struct scripted *self = instance;
    plugin_text id = frame->services->id(frame->host);
    char text[128];
    snprintf(text, sizeof text, "%.*s " VERSION ": %" PRIu64 ", %s", (int)id.length, id.data, self->count,
             plugin_time_left_ns(frame) > 0 ? "in time" : "late");
    return plugin_show_text(frame, text);
}

static uint8_t destroy(void *instance, const plugin_call_frame *frame) {
    plugin_log(frame, PLUGIN_INFO, "destroyed");
    free(instance);
    return PLUGIN_COMPLETED;
}

static uint8_t save_state(void *instance, const plugin_call_frame *frame, void *out, plugin_take_bytes take) {
    struct scripted *self = instance;
    plugin_bytes bytes = {(const uint8_t *)&self->count, sizeof self->count};
    (void)frame;
    take(out, bytes);
    return PLUGIN_COMPLETED;
}

static uint8_t restore_state(void *instance, const plugin_call_frame *frame, uint32_t version, plugin_bytes state) {
    struct scripted *self = instance;
    if (version != 3 || state.length != sizeof self->count) {
        return plugin_fail_for_good(frame, "that is no state of mine");
    }
    memcpy(&self->count, state.data, sizeof self->count);
    return PLUGIN_COMPLETED;
}

PLUGIN_EXPORT(.init = plugin_no_init, .create = create, .update = update, .display = display, .destroy = destroy,
              .state_version = 3, .save_state = save_state, .restore_state = restore_state)
