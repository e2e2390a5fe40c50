"""Tries mutants of one package of which the code is compiled once, with all of them in it.

cargo-mutants says which mutants there are. Every function that has some is written as many times as it has mutants, and once as it is;
the environment variable MUTANT says which of them runs. Mutants that the compiler refuses are taken out again, and counted.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import time

SWITCH = """
#[doc(hidden)]
#[allow(missing_docs, unreachable_pub)]
pub fn is_mutant(number: u32) -> bool {
    static CHOSEN: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(|| std::env::var("MUTANT").map_or(0, |text| text.parse().unwrap())) == number
}
"""

# Asked by constants, too, which are computed when it is compiled: nothing is changed in those.
CONST_SWITCH = """
#[doc(hidden)]
#[allow(missing_docs, unreachable_pub)]
pub const fn is_mutant(number: u32) -> bool {
    const fn when_compiled(_number: u32) -> bool {
        false
    }
    fn when_run(number: u32) -> bool {
        static CHOSEN: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
        *CHOSEN.get_or_init(|| std::env::var("MUTANT").map_or(0, |text| text.parse().unwrap())) == number
    }
    std::intrinsics::const_eval_select((number,), when_compiled, when_run)
}
"""
CONST_FEATURES = "#![feature(core_intrinsics, const_eval_select)]\n#![allow(internal_features)]\n"


def skip(text, at):
    """The position after the comment, text or character that begins here, or `at` where none does."""
    if text.startswith("//", at):
        return text.index("\n", at)
    if text.startswith("/*", at):
        return text.index("*/", at) + 2
    raw = re.compile(r'b?r(#*)"').match(text, at)
    if raw and not (text[at - 1].isalnum() or text[at - 1] == "_"):
        return text.index('"' + raw[1], raw.end()) + 1 + len(raw[1])
    quoted = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\\n]|\\[^\n]{1,8}?)\'', re.S).match(text, at)
    return quoted.end() if quoted else at


def body_start(text, at):
    """Where the body of the function begins whose attributes and signature begin at `at`."""
    depth, seen_fn = 0, False
    while True:
        after = skip(text, at)
        if after != at:
            at = after
            continue
        char = text[at]
        if not seen_fn and depth == 0 and re.compile(r"\bfn\s").match(text, at):
            seen_fn = True
        if char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif char == "{" and depth == 0 and seen_fn:
            return at
        at += 1


class Source:
    """One file, and where its lines begin."""

    def __init__(self, path):
        self.text = path.read_text()
        self.starts = [0]
        for line in self.text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def range(self, span):
        return tuple(self.starts[end["line"] - 1] + end["column"] - 1 for end in (span["start"], span["end"]))


def weave(source, mutants, left_out, in_constants):
    """The text of a file with its mutants; the lines of each mutant, and of each function."""
    functions = collections.defaultdict(list)
    for mutant in mutants:
        functions[source.range(mutant["function"]["span"])].append(mutant)
    text, lines, at = [], [], 0
    line = 1

    def put(piece):
        nonlocal line
        text.append(piece)
        line += piece.count("\n")

    for (start, end), group in sorted(functions.items()):
        group = [mutant for mutant in group if mutant["number"] not in left_out]
        if start < at or not group:
            continue
        body = body_start(source.text, start)
        head = source.text[start:body]
        if not in_constants:
            head = re.sub(r"\bconst (?=(?:unsafe )?fn\b)", "", head)
        put(source.text[at:start])
        first = line
        put(head + "{\n")
        for mutant in group:
            low, high = source.range(mutant["span"])
            assert body <= low <= high <= end, mutant["name"]
            began = line
            put(f"if crate::is_mutant({mutant['number']})\n")
            inner = source.text[body:low] + mutant["replacement"] + source.text[high:end]
            put(inner if inner.lstrip().startswith("{") else "{" + inner + "}")
            lines.append((began, line, [mutant["number"]]))
            put("\nelse ")
        put(source.text[body:end] + "\n}\n")
        lines.append((first, line, [mutant["number"] for mutant in group]))
        at = end
    put(source.text[at:])
    return "".join(text), lines


def blamed(message, lines_of):
    """The mutants of which the compiler complains, those of the smallest piece that it points at."""
    found = []
    for span in message["spans"]:
        name = str(pathlib.Path(span["file_name"]))
        for first, last, numbers in lines_of.get(name, []):
            if first <= span["line_start"] <= last:
                found.append((not span["is_primary"], last - first, numbers))
    return min(found)[2] if found else []


def compile_woven(root, package, files, mutants, arguments, options):
    """Takes mutants out until the rest compiles. Returns which do not compile, and which cannot be tried in this way."""
    # What was found to be so the last time.
    known = json.loads(options.woven.read_text()) if options.woven.exists() else {"refused": [], "unwoven": []}
    refused, unwoven = set(known["refused"]), set(known["unwoven"])
    while True:
        lines_of = {}
        for name, source in files.items():
            of_file = [mutant for mutant in mutants if mutant["file"] == name and mutant["function"]]
            text, lines_of[name] = weave(source, of_file, refused | unwoven, options.const)
            if name.endswith("src/lib.rs"):
                # The lines of this file stay those that the compiler names: what is added at its beginning has none of its own.
                text = CONST_FEATURES.replace("\n", " ") + text + CONST_SWITCH if options.const else text + SWITCH
            (root / name).write_text(text)
        run = subprocess.run(
            ["cargo", "check", "--package", package, "--lib", "--message-format=json", *arguments],
            cwd=root, stdout=subprocess.PIPE, text=True, check=False)
        if run.returncode == 0:
            woven = {number for lines in lines_of.values() for *_, numbers in lines for number in numbers}
            unwoven |= {mutant["number"] for mutant in mutants} - woven - refused
            return refused, unwoven
        before = len(refused) + len(unwoven)
        for entry in map(json.loads, run.stdout.splitlines()):
            message = entry.get("message")
            if entry["reason"] != "compiler-message" or message["level"] != "error":
                continue
            numbers = blamed(message, lines_of)
            non_const = re.search(r"non-const .*`(?:.*::)?(\w+)(?:::<.*>)?`", message["message"])
            if len(numbers) == 1:
                refused |= set(numbers)
            elif non_const:
                unwoven |= {mutant["number"] for mutant in mutants
                            if mutant["function"] and mutant["function"]["function_name"].split("::")[-1] == non_const[1]}
            else:
                unwoven |= set(numbers)
            if options.verbose:
                print(message["rendered"], file=sys.stderr)
        print(f"{len(refused)} do not compile, {len(unwoven)} not woven", file=sys.stderr)
        if len(refused) + len(unwoven) == before:
            sys.exit("the compiler complains of what is no mutant")


def run_stage(stage, number, cwd, limit):
    """How the tests end with this mutant: `passed`, `failed`, `hung`."""
    environment = dict(os.environ, MUTANT=str(number), PROPTEST_FAILURE_PERSISTENCE="off")
    process = subprocess.Popen(stage, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               start_new_session=True)
    ends = time.monotonic() + limit
    output = b""
    while select.select([process.stdout], [], [], max(0, ends - time.monotonic()))[0]:
        piece = os.read(process.stdout.fileno(), 65536)
        output += piece
        failed = re.findall(r"^test (\S+) .*FAILED$", output.decode(errors="replace"), re.M)
        # One is enough: others may hang because of the same mutant.
        if failed:
            stop(process)
            return "failed", " ".join(failed[:3])
        if not piece:
            return ("passed" if process.wait() == 0 else "failed"), ""
    stop(process)
    return "hung", ""


def stop(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=["weave", "try"])
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--package", required=True)
    parser.add_argument("--list", type=pathlib.Path, required=True)
    parser.add_argument("--woven", type=pathlib.Path)
    parser.add_argument("--results", type=pathlib.Path)
    parser.add_argument("--stage", action="append", default=[], help="a command line")
    parser.add_argument("--cwd", type=pathlib.Path)
    parser.add_argument("--limit", type=float, default=60)
    parser.add_argument("--only", default="", help="a pattern for the file and name")
    parser.add_argument("--shard", type=int, default=0)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--again", default="", help="which outcomes to try again, by comma")
    parser.add_argument("--const", action="store_true", help="with mutants of functions that constants call")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--cargo", action="append", default=[])
    options = parser.parse_args()
    mutants = json.loads(options.list.read_text())
    for number, mutant in enumerate(mutants, 1):
        mutant["number"] = number
    if options.action == "weave":
        names = {mutant["file"] for mutant in mutants}
        names |= {next(iter(sorted(names))).split("/src/")[0] + "/src/lib.rs"}
        files = {name: Source(options.root / name) for name in sorted(names)}
        refused, unwoven = compile_woven(options.root, options.package, files, mutants, options.cargo, options)
        options.woven.write_text(json.dumps({"refused": sorted(refused), "unwoven": sorted(unwoven)}))
        print(f"{len(mutants)} mutants, {len(refused)} do not compile, {len(unwoven)} not woven")
        return
    woven = json.loads(options.woven.read_text())
    left_out = set(woven["refused"]) | set(woven["unwoven"])
    done = {}
    if options.results.exists():
        for entry in map(json.loads, options.results.read_text().splitlines()):
            done[entry["number"]] = entry["outcome"]
    again = options.again.split(",")
    with options.results.open("a") as results:
        for mutant in mutants:
            number = mutant["number"]
            if number in left_out or (number in done and done[number] not in again):
                continue
            if number % options.shards != options.shard:
                continue
            if not re.search(options.only, mutant["file"] + " " + mutant["name"]):
                continue
            began = time.monotonic()
            outcome, by = "survived", ""
            for stage in options.stage:
                end, by = run_stage(stage.split(), number, options.cwd, options.limit)
                if end != "passed":
                    outcome = "hung" if end == "hung" else "killed"
                    by = f"{pathlib.Path(stage.split()[0]).name} {by}"
                    break
            took = round(time.monotonic() - began, 1)
            entry = {"number": number, "name": mutant["name"], "file": mutant["file"], "outcome": outcome, "by": by, "took": took}
            results.write(json.dumps(entry) + "\n")
            results.flush()
            print(f"{outcome:9}{took:6.1f} {mutant['name']}  {by[:90]}", flush=True)


if __name__ == "__main__":
    main()
