# Takes the ```cpp blocks out of a Markdown file and writes them as C++ files that a compiler can
# check: one for each whole program, and one with all other blocks of the file. The compiler's
# messages name the Markdown file and its lines.
#
#   awk -v out=<folder> -v name=<shown file name> -f snippets.awk <file>
#
# A block with `int main` is a whole program. Any other is the body of a function which sees the
# umbrella header, `using namespace valkeycache` and the chrono literals. Comments before the block
# change that; each is on a line of its own:
#
#   <!-- snippet: declarations -->      at namespace scope instead of inside a function
#   <!-- snippet: coroutine -->         inside a coroutine
#   <!-- snippet: name=open -->         gives the block a name
#   <!-- snippet: needs=open,key -->    begins with those blocks of the same file
#   <!-- snippet: setup CODE -->        begins with this code, such as `extern CachedLlm llm;`
#
# There is no way to leave a block out.

function complain(text) {
  printf "%s:%d: %s\n", name, FNR, text > "/dev/stderr"
  faults++
}

function reset_directives() {
  kind = "function"
  title = ""
  needs = ""
  setup = ""
  pending = 0
}

function directive(text,    parts) {
  pending = 1
  if (text == "declarations" || text == "coroutine") {
    kind = text
  } else if (text ~ /^name=[a-z0-9_]+$/) {
    title = substr(text, 6)
    if (title in bodies) complain("there is a snippet " title " already")
  } else if (text ~ /^needs=[a-z0-9_,]+$/) {
    needs = substr(text, 7)
  } else if (text ~ /^setup ./) {
    setup = setup "#line " FNR " \"" name "\"\n" substr(text, 7) "\n"
  } else {
    complain("no such snippet directive: " text)
  }
}

function needed(    list, count, i, code) {
  code = ""
  count = split(needs, list, ",")
  for (i = 1; i <= count; i++) {
    if (list[i] in bodies) code = code bodies[list[i]]
    else complain("there is no snippet " list[i] " before this one")
  }
  return code
}

function finish_block(    code, text) {
  blocks++
  text = "#line " (start + 1) " \"" name "\"\n" body
  if (body ~ /(^|\n)[ \t]*(int|auto) main\(/) {
    printf "%s", includes text > (out "/program_" blocks ".cpp")
    close(out "/program_" blocks ".cpp")
  } else {
    all_includes = all_includes includes
    if (title != "") bodies[title] = setup text
    code = needed() setup
    if (kind == "declarations") {
      all = all "namespace snippet_" blocks " {\n" code text "}\n"
    } else if (kind == "coroutine") {
      all = all "namespace snippet_" blocks " {\nFuture<void> run() {\n" code "{\n" text \
        "}\nco_return;\n}\n}\n"
    } else {
      all = all "namespace snippet_" blocks " {\nvoid run() {\n" code "{\n" text "}\n}\n}\n"
    }
  }
  reset_directives()
}

BEGIN {
  reset_directives()
  faults = blocks = inside = 0
}

inside && /^[ \t]*```[ \t]*$/ {
  inside = 0
  if (cpp) finish_block()
  next
}

inside {
  if (cpp && $0 ~ /^[ \t]*#include/) {
    # An include belongs at the top of the file; the line stays, so that the numbers are right.
    includes = includes $0 "\n"
    body = body "\n"
  } else {
    body = body $0 "\n"
  }
  next
}

/^[ \t]*```/ {
  inside = 1
  start = FNR
  cpp = ($0 ~ /^[ \t]*```(cpp|c\+\+|cxx|C\+\+)/)
  if (!cpp && pending) complain("a snippet directive before something that is not C++")
  body = ""
  includes = ""
  next
}

/^[ \t]*<!-- *snippet:/ {
  text = $0
  if (text !~ /-->[ \t]*$/) complain("a snippet directive must end on its line")
  sub(/^[ \t]*<!-- *snippet:[ \t]*/, "", text)
  sub(/[ \t]*-->[ \t]*$/, "", text)
  directive(text)
  next
}

/[^ \t]/ && pending {
  complain("a snippet directive must stand right before its block")
  reset_directives()
}

END {
  if (inside) complain("a block does not end")
  if (all != "") {
    printf "%s", "#include <valkeycache/valkeycache.hpp>\n#include <cstdio>\n#include <iostream>\n" \
      "#include <string>\n#include <thread>\n#include <vector>\n" all_includes \
      "using namespace valkeycache;\nusing namespace std::chrono_literals;\n" all \
      > (out "/fragments.cpp")
  }
  printf "%d\n", blocks
  exit faults > 0
}
