/* A plugin in C++ that throws what its settings say. */
#include "plugin_api.hpp"

#include <vector>

namespace {

struct throws {
    std::string what;
    // Shows that what is on the stack and in the instance is destroyed.
    std::vector<int> numbers = {1, 2, 3};

    explicit throws(plugin::call &call) : what(call.setting_text("throw").value_or("")) {
        if (what == "in the constructor") {
            throw plugin::failure::permanent("it cannot begin");
        }
    }

    void update(plugin::call &call) {
        call.log(PLUGIN_INFO, "about to throw");
        if (what == "failure") {
            throw plugin::failure::recoverable("in a moment", std::chrono::milliseconds(250));
        } else if (what == "permanent") {
            throw plugin::failure::permanent("never");
        } else if (what == "runtime_error") {
            throw std::runtime_error("the disk is gone");
        } else if (what == "out_of_range") {
            numbers.at(3) = 1;
        } else if (what == "int") {
            throw 42;
        }
        call.publish("calm", std::to_string(numbers.size()));
    }

    plugin::view display(plugin::call &) {
        if (what == "in display") {
            throw std::runtime_error("nothing to see");
        }
        return plugin::view::html("<p>" + what + "</p>");
    }
};

} // namespace

PLUGIN_EXPORT_CLASS(throws, "throws", "1.0.0", PLUGIN_INTERVAL("1s") PLUGIN_TIMEOUT("500ms"))
