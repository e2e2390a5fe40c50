/*
 * plugin_guard.h: where a panic of Zig ends. For plugin_api.zig, which is what a plugin in Zig is written against.
 *
 * A panic of Zig calls a function that must not return, and Zig has nothing that unwinds: so this leaves it by a jump, which never leaves
 * the plugin. C is where a jump back is defined.
 *
 * License: MIT OR Apache-2.0, as the crate plugin-api.
 */
#ifndef PLUGIN_GUARD_H
#define PLUGIN_GUARD_H

#include "plugin_api.h"

/* Runs `work` with the address that comes with it, and returns its status, or PLUGIN_PANICKED where it panicked. */
uint8_t plugin_guard(const plugin_call_frame *frame, uint8_t (*work)(void *with), void *with);

/* Ends the call that this thread is in, after it has said the message as that of a panic. In no call it ends the process. */
_Noreturn void plugin_guard_panic(const char *message, size_t length);

#endif
