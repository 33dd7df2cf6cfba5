// A test on recorded answers: ask a model once, keep what it said in a file, and let the tests ask
// that file. They need no model, no server and no network, and they fail where the program asks
// something that was not recorded.
//
//   recorded_answers record <file>   asks the model, by way of $VALKEY_URI or memory://
//   recorded_answers test <file>     asks what was recorded
//
// Without arguments it does both, one after the other.
#include <valkeycache/cached_llm.hpp>
#include <valkeycache/transfer.hpp>

#include <cstdlib>
#include <iostream>
#include <string>

using namespace valkeycache;
using namespace std::chrono_literals;

// --- the program under test ---

std::string summary(const CachedLlm& llm, const std::string& what, AskOptions options = {}) {
  const auto answer = llm.ask("Summarise: " + what, options).get();
  return answer ? answer->response : std::string("no summary: ") + to_string(answer.error().code);
}

namespace {

const CacheIdentity identity{.model = "my-model", .scope = "local"};
const ValkeyCacheOptions cache_options{.prefix = "recorded:", .ttl = 24h};

int record(const std::string& file) {
  const auto model = make_text_llm(identity, [](const ChatRequest& request) {
    // A real one would be asked here, once.
    return "In short: " + request.as_triple()->prompt.substr(11, 6) + " …";
  });
  const char* uri = std::getenv("VALKEY_URI");
  const auto cache = ValkeyCache::open(uri ? uri : "memory://recording", cache_options).value();
  const CachedLlm llm{cache, model};
  for (const auto* text :
       {"Valkey is a key/value store.", "A cache forgets what nobody asks for."}) {
    std::cout << "recorded  " << summary(llm, text) << '\n';
  }
  cache.flush(5s).get().value();
  const auto report = export_entries(cache, file).value();
  std::cout << report.entries << " entries in the file\n";
  return 0;
}

int test(const std::string& file) {
  const auto cache = ValkeyCache::open("memory://recorded", cache_options).value();
  // One's own file; one from elsewhere wants a secret.
  const auto report = import_entries(cache, file, {.trust = true, .max_ttl = Ttl::none()}).value();
  if (!report.complete) return 1;
  const auto model = make_text_llm(identity, [](const ChatRequest&) {
    std::abort();  // no test asks it
    return std::string();
  });
  const CachedLlm llm{cache, model};
  const AskOptions only_recorded{.cache_only = true};
  std::cout << "played    " << summary(llm, "Valkey is a key/value store.", only_recorded) << '\n'
            << "played    " << summary(llm, "Something else.", only_recorded) << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "both";
  const std::string file = argc > 2 ? argv[2] : "recorded_answers.ndjson";
  if (mode == "record") return record(file);
  if (mode == "test") return test(file);
  return record(file) + test(file);
}
