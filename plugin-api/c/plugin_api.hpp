/*
 * plugin_api.hpp: a plugin as a C++ class (C++17), over plugin_api.h. Nothing that is thrown leaves the file.
 *
 *     c++ -std=c++17 -shared -fPIC -fvisibility=hidden -O2 -I plugin-api/c -o log_matches.so plugins/cpp/log_matches.cpp
 *
 * A plugin is a class with a constructor and `update`, and with as many of the others as it needs:
 *
 *     struct counter {
 *         explicit counter(plugin::call &call);
 *         void update(plugin::call &call);
 *         plugin::view display(plugin::call &call);                                 // optional
 *         static std::string settings_schema();                                     // optional
 *         static constexpr std::uint32_t state_version = 1;                         // optional, with both of these:
 *         std::string save_state(plugin::call &call);
 *         void restore_state(plugin::call &call, std::uint32_t version, std::string_view state);
 *     };
 *     PLUGIN_EXPORT_CLASS(counter, "counter", "1.0.0", PLUGIN_INTERVAL("1s"))
 *
 * What becomes of an exception:
 *
 * - plugin::failure: the call failed, as the exception says: to be tried again, when, or not at all.
 * - std::runtime_error and what is derived from it (std::system_error, std::filesystem::filesystem_error, std::regex_error): the call
 *   failed and is tried again after an interval, with `what()` as the reason.
 * - Everything else (std::logic_error, std::bad_alloc, an int): what a panic is in Rust. The instance is given up, destroyed, and created
 *   anew before the next update; after three in a row the plugin is unhealthy.
 *
 * An exception on a thread that the plugin has started ends the engine, as everywhere in C++: catch it there.
 *
 * To be unmapped safely a file must bring in no other library and no symbol that the loader keeps: link with -static-libstdc++
 * -static-libgcc -fno-gnu-unique, or leave `unmap` as it is, `never`.
 */
#ifndef PLUGIN_API_HPP
#define PLUGIN_API_HPP

#if defined(__cpp_exceptions) && !defined(PLUGIN_PANIC)
#define PLUGIN_PANIC "unwind"
#endif

#include "plugin_api.h"

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>

#if __has_include(<cxxabi.h>)
#include <cstdlib>
#include <cxxabi.h>
#endif

namespace plugin {

/* Why a call fails, with what is to follow. */
class failure : public std::runtime_error {
  public:
    /* Trying again can help: after an interval, or after this delay. */
    static failure recoverable(const std::string &message, std::chrono::nanoseconds retry_after = {}) {
        return failure(message, true, retry_after);
    }
    /* Trying again does not help: the plugin goes into the state Error. */
    static failure permanent(const std::string &message) { return failure(message, false, {}); }

    bool is_recoverable() const noexcept { return recoverable_; }
    std::chrono::nanoseconds retry_after() const noexcept { return retry_after_; }

  private:
    failure(const std::string &message, bool recoverable, std::chrono::nanoseconds retry_after)
        : std::runtime_error(message), recoverable_(recoverable), retry_after_(retry_after) {}

    bool recoverable_;
    std::chrono::nanoseconds retry_after_;
};

/* What a display shows. */
struct view {
    std::uint8_t kind = PLUGIN_VIEW_EMPTY;
    std::string bytes;

    static view text(std::string text) { return {PLUGIN_VIEW_TEXT, std::move(text)}; }
    static view html(std::string text) { return {PLUGIN_VIEW_HTML, std::move(text)}; }
    static view svg(std::string text) { return {PLUGIN_VIEW_SVG, std::move(text)}; }
    static view json(std::string text) { return {PLUGIN_VIEW_JSON, std::move(text)}; }
    static view png(std::string bytes) { return {PLUGIN_VIEW_PNG, std::move(bytes)}; }
};

inline plugin_text lend(std::string_view text) noexcept { return {text.data(), text.size()}; }
inline plugin_bytes lend_bytes(std::string_view bytes) noexcept {
    return {reinterpret_cast<const std::uint8_t *>(bytes.data()), bytes.size()};
}

/* What a call can ask of the engine. Not to be kept: it is there until the call returns. */
class call {
  public:
    explicit call(const plugin_call_frame *frame) noexcept : frame_(frame) {}
    call(const call &) = delete;
    call &operator=(const call &) = delete;

    /* The plugin's id. */
    std::string_view id() const noexcept { return read(frame_->services->id(frame_->host)); }
    /* The settings, a JSON object. */
    std::string_view settings() const noexcept { return read(frame_->services->settings(frame_->host)); }
    /* A setting that is a text; nothing where it is none or not given. */
    std::optional<std::string> setting_text(const char *key) const {
        std::string out(settings().size() + 1, '\0');
        if (!plugin_setting_text(frame_, key, out.data(), out.size())) {
            return std::nullopt;
        }
        out.resize(std::char_traits<char>::length(out.c_str()));
        return out;
    }
    /* A setting that is a whole number; `otherwise` where it is none or not given. */
    std::uint64_t setting_u64(const char *key, std::uint64_t otherwise) const noexcept {
        return plugin_setting_u64(frame_, key, otherwise);
    }
    /* Whether nobody waits for this call any more. */
    bool is_cancelled() const noexcept { return plugin_is_cancelled(frame_); }
    /* How long until the deadline; zero once it has passed. */
    std::chrono::nanoseconds time_left() const noexcept {
        return std::chrono::nanoseconds(static_cast<std::int64_t>(plugin_time_left_ns(frame_)));
    }
    /* Says that long work is getting on. */
    void record_progress() const noexcept { plugin_record_progress(frame_); }
    /* Publishes the event plugin.<id>.<name>; one of PLUGIN_PUBLISH_…. */
    std::uint8_t publish(std::string_view name, std::string_view payload) const noexcept {
        return frame_->services->publish(frame_->host, frame_->call_id, lend(name), lend(payload));
    }
    /* Writes a line to the engine's log: PLUGIN_ERROR … PLUGIN_TRACE. */
    void log(std::uint8_t level, std::string_view message) const noexcept {
        if (level <= frame_->log_level_max) {
            plugin_log_record record = {level, lend(id()), lend(message), {nullptr, 0}};
            frame_->services->log(frame_->host, frame_->call_id, &record);
        }
    }
    /* The frame itself, for what has no name here. */
    const plugin_call_frame *frame() const noexcept { return frame_; }

  private:
    static std::string_view read(plugin_text text) noexcept { return {text.data, text.length}; }
    const plugin_call_frame *frame_;
};

/* What PLUGIN_EXPORT_CLASS is made of. */
namespace detail {

/* The name of an exception's type, as far as the compiler gives it. */
class type_name {
  public:
    explicit type_name(const std::type_info &type) noexcept : name_(type.name()) {
#if __has_include(<cxxabi.h>)
        int status = 0;
        readable_ = abi::__cxa_demangle(name_, nullptr, nullptr, &status);
#endif
    }
    type_name(const type_name &) = delete;
    type_name &operator=(const type_name &) = delete;
    ~type_name() { std::free(readable_); }
    plugin_text text() const noexcept { return plugin_text_of(readable_ != nullptr ? readable_ : name_); }

  private:
    const char *name_;
    char *readable_ = nullptr;
};

inline std::uint8_t fail(const plugin_call_frame *frame, const std::exception &error, bool recoverable,
                         std::chrono::nanoseconds retry_after) noexcept {
    type_name name(typeid(error));
    plugin_failure said = {plugin_text_of(error.what()), name.text(), recoverable,
                           retry_after.count() > 0 ? static_cast<std::uint64_t>(retry_after.count()) : 0};
    frame->services->fail(frame->reply, &said);
    return PLUGIN_FAILED;
}

/* The barrier: runs one call, and turns whatever comes out of it into what the contract knows. */
template <class Work> std::uint8_t guard(const plugin_call_frame *frame, Work &&work) noexcept {
    try {
        work();
        return PLUGIN_COMPLETED;
    } catch (const failure &error) {
        return fail(frame, error, error.is_recoverable(), error.retry_after());
    } catch (const std::runtime_error &error) {
        return fail(frame, error, true, {});
    } catch (const std::exception &error) {
        return plugin_panic_at(frame, error.what(), "", 0);
    } catch (...) {
        return plugin_panic_at(frame, "an exception that is no std::exception", "", 0);
    }
}

template <class P, class = void> struct has_display : std::false_type {};
template <class P>
struct has_display<P, std::void_t<decltype(std::declval<P &>().display(std::declval<call &>()))>> : std::true_type {};
template <class P, class = void> struct has_schema : std::false_type {};
template <class P> struct has_schema<P, std::void_t<decltype(P::settings_schema())>> : std::true_type {};
template <class P, class = void> struct has_state : std::false_type {};
template <class P> struct has_state<P, std::void_t<decltype(P::state_version)>> : std::true_type {};

template <class P> struct shims {
    static std::uint8_t create(const plugin_call_frame *frame, void **instance) {
        return guard(frame, [&] {
            call call(frame);
            *instance = new P(call);
        });
    }
    static std::uint8_t update(void *instance, const plugin_call_frame *frame) {
        return guard(frame, [&] {
            call call(frame);
            static_cast<P *>(instance)->update(call);
        });
    }
    static std::uint8_t display(void *instance, const plugin_call_frame *frame) {
        return guard(frame, [&] {
            view shown;
            if constexpr (has_display<P>::value) {
                call call(frame);
                shown = static_cast<P *>(instance)->display(call);
            }
            frame->services->view(frame->reply, shown.kind, lend_bytes(shown.bytes));
        });
    }
    static std::uint8_t destroy(void *instance, const plugin_call_frame *frame) {
        return guard(frame, [&] { std::unique_ptr<P> last(static_cast<P *>(instance)); });
    }
    static std::uint8_t settings_schema(void *out, plugin_take_text take) {
        try {
            if constexpr (has_schema<P>::value) {
                std::string schema = P::settings_schema();
                take(out, lend(schema));
            }
            return PLUGIN_COMPLETED;
        } catch (const std::exception &error) {
            take(out, plugin_text_of(error.what()));
        } catch (...) {
            take(out, plugin_text_of("an exception that is no std::exception"));
        }
        return PLUGIN_PANICKED;
    }
    static std::uint8_t save_state(void *instance, const plugin_call_frame *frame, void *out, plugin_take_bytes take) {
        return guard(frame, [&] {
            if constexpr (has_state<P>::value) {
                call call(frame);
                std::string state = static_cast<P *>(instance)->save_state(call);
                take(out, lend_bytes(state));
            }
        });
    }
    static std::uint8_t restore_state(void *instance, const plugin_call_frame *frame, std::uint32_t version,
                                      plugin_bytes state) {
        return guard(frame, [&] {
            if constexpr (has_state<P>::value) {
                call call(frame);
                std::string_view bytes(reinterpret_cast<const char *>(state.data), state.length);
                static_cast<P *>(instance)->restore_state(call, version, bytes);
            }
        });
    }
    static constexpr std::uint32_t state_version() {
        if constexpr (has_state<P>::value) {
            return P::state_version;
        }
        return 0;
    }
    static constexpr plugin_module table = {plugin_no_init,  create,          update,     display,       destroy,
                                            settings_schema, state_version(), save_state, restore_state, nullptr};
};

/* The manifest as an ELF note: without the zero byte of the text, and padded to four bytes. */
template <std::size_t Size> struct note {
    std::uint32_t name_length, description_length, type;
    char name[16];
    char description[(Size + 2) / 4 * 4];
};

template <std::size_t Size> constexpr note<Size> note_of(const char (&text)[Size]) {
    note<Size> made = {16, Size - 1, 1, "plugin-manifest", {}};
    for (std::size_t at = 0; at + 1 < Size; at++) {
        made.description[at] = text[at];
    }
    return made;
}

} // namespace detail
} // namespace plugin

/* Exports a class as the plugin of this file: the class, the id, the version, and the optional parts of the manifest one behind the
   other. Once per file, outside any namespace. */
#define PLUGIN_EXPORT_CLASS(Class, id, version, more)                                                                  \
    PLUGIN_NOTE static constexpr plugin::detail::note<sizeof(PLUGIN_MANIFEST_TEXT(id, version, more))>                 \
        plugin_manifest_note = plugin::detail::note_of(PLUGIN_MANIFEST_TEXT(id, version, more));                       \
    extern "C" {                                                                                                       \
    PLUGIN_VISIBLE extern const plugin_file_header plugin_api_c_header;                                                \
    const plugin_file_header plugin_api_c_header = {{'p', 'l', 'u', 'g', 'i', 'n', '-', 'c'},                          \
                                                    sizeof(plugin_file_header),                                        \
                                                    sizeof(plugin_module),                                             \
                                                    {PLUGIN_CONTRACT, sizeof(PLUGIN_CONTRACT) - 1},                    \
                                                    &plugin::detail::shims<Class>::table};                             \
    }

#endif
