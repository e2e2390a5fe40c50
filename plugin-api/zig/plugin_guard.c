/* What plugin_guard.h says. */
#include "plugin_guard.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

/* A call that this thread is in. */
struct guard {
    jmp_buf end;
    const plugin_call_frame *frame;
    struct guard *outer;
};

static _Thread_local struct guard *innermost;

__attribute__((visibility("hidden"))) uint8_t plugin_guard(const plugin_call_frame *frame, uint8_t (*work)(void *with), void *with) {
    /* Nothing here is written between the two returns of setjmp but the status. */
    struct guard guard;
    volatile uint8_t status = PLUGIN_PANICKED;
    guard.frame = frame;
    guard.outer = innermost;
    innermost = &guard;
    if (setjmp(guard.end) == 0) {
        status = work(with);
    }
    innermost = guard.outer;
    return status;
}

__attribute__((visibility("hidden"))) _Noreturn void plugin_guard_panic(const char *message, size_t length) {
    struct guard *guard = innermost;
    if (guard == NULL) {
        fprintf(stderr, "a plugin in Zig panicked on a thread that is in no call: %.*s\n", (int)(length & 0xffff), message);
        abort();
    }
    plugin_panic panic = {{message, length}, {NULL, 0}, 0, 0};
    guard->frame->services->panicked(guard->frame->host, guard->frame->reply, &panic);
    longjmp(guard->end, 1);
}
