/*
 * Counts the lines of a log that match a regular expression, as they are written: each update reads what was added since the one
 * before, and publishes the lines that match.
 *
 * It is a lesson in how little is left to do in C++: what is thrown ends the call with a reason, what is owned is freed by itself, and
 * where the reading stands is handed over at a reload, so that no line is told twice.
 */
#include "plugin_api.hpp"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <regex>

class log_matches {
  public:
    static std::string settings_schema() {
        // The library compiles a pattern by recursion, and a very long one overflows the stack.
        return R"({"type": "object", "additionalProperties": false, "required": ["file", "pattern"], "properties": {
            "file": {"type": "string", "minLength": 1, "description": "The log. It may be absent for a while."},
            "pattern": {"type": "string", "minLength": 1, "maxLength": 1000,
                        "description": "An ECMAScript regular expression."}}})";
    }

    explicit log_matches(plugin::call &call) {
        file_ = call.setting_text("file").value();
        try {
            pattern_ = std::regex(call.setting_text("pattern").value());
        } catch (const std::regex_error &error) {
            // Trying again does not mend a setting.
            throw plugin::failure::permanent(std::string("settings.pattern: ") + error.what());
        }
    }

    void update(plugin::call &call) {
        std::error_code absent;
        std::uint64_t size = std::filesystem::file_size(file_, absent);
        if (absent) {
            throw plugin::failure::recoverable(file_ + ": " + absent.message());
        }
        if (size < read_) {
            // It was begun anew.
            read_ = 0;
        }
        std::ifstream log(file_, std::ios::binary);
        log.seekg(static_cast<std::streamoff>(read_));
        for (std::string line; !call.is_cancelled() && std::getline(log, line) && !log.eof();) {
            // A line that has no end yet is read when it has one.
            read_ += line.size() + 1;
            if (std::regex_search(line, pattern_)) {
                matches_++;
                call.publish("match", line);
            }
            call.record_progress();
        }
    }

    plugin::view display(plugin::call &) {
        return plugin::view::text(std::to_string(matches_) + " lines of " + file_ + " match");
    }

    // The state: how many bytes were read and how many lines matched, in decimal.
    static constexpr std::uint32_t state_version = 1;

    std::string save_state(plugin::call &) { return std::to_string(read_) + " " + std::to_string(matches_); }

    void restore_state(plugin::call &, std::uint32_t version, std::string_view state) {
        const char *end = state.data() + state.size();
        auto [space, read_error] = std::from_chars(state.data(), end, read_);
        if (version != state_version || read_error != std::errc() || space == end) {
            throw plugin::failure::permanent("the state is not of version 1");
        }
        std::from_chars(space + 1, end, matches_);
    }

  private:
    std::string file_;
    std::regex pattern_;
    std::uint64_t read_ = 0;
    std::uint64_t matches_ = 0;
};

PLUGIN_EXPORT_CLASS(log_matches, "log-matches", "1.0.0", PLUGIN_INTERVAL("5s") PLUGIN_TIMEOUT("2s"))
