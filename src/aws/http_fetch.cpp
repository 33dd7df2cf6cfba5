#include "aws/http_fetch.hpp"

#include <algorithm>
#include <climits>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <random>
#include <utility>

#include "aws/libcurl.hpp"
#include "base/ascii.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

using Milliseconds = std::chrono::milliseconds;

constexpr const char* no_curl = "libcurl could not be used";

struct EasyCleanup {
  void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
};
struct MultiCleanup {
  void operator()(CURLM* multi) const noexcept { curl_multi_cleanup(multi); }
};
struct ListCleanup {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, EasyCleanup>;
using Multi = std::unique_ptr<CURLM, MultiCleanup>;
using List = std::unique_ptr<curl_slist, ListCleanup>;

// Where the answer goes.
struct Incoming {
  std::size_t max_bytes;
  FetchAnswer answer = {};
  bool too_large = false;
};

std::size_t on_head(char* data, std::size_t size, std::size_t count, void* user) {
  static constexpr std::string_view name = "date:";
  const std::string_view line(data, size * count);
  const bool is_date = line.size() > name.size() && line.size() < 128 &&
                       std::equal(name.begin(), name.end(), line.begin(),
                                  [](char wanted, char c) { return wanted == to_lower(c); });
  try {
    if (is_date) static_cast<Incoming*>(user)->answer.date = line.substr(name.size());
  } catch (...) {
    return 0;
  }
  return line.size();
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& incoming = *static_cast<Incoming*>(user);
  const auto bytes = size * count;
  if (bytes > incoming.max_bytes - incoming.answer.body.size()) {
    incoming.too_large = true;
    return 0;
  }
  try {
    incoming.answer.body.append(data, bytes);
  } catch (...) {
    return 0;
  }
  return bytes;
}

List header_list(const FetchRequest& request) {
  List list;
  auto lines = request.header_lines;
  lines.emplace_back("Expect:");  // not libcurl's own
  for (const auto& line : lines) {
    auto* const longer = curl_slist_append(list.get(), line.c_str());
    if (!longer) throw std::bad_alloc();
    static_cast<void>(list.release());
    list.reset(longer);
  }
  return list;
}

void configure(CURL* easy, const FetchRequest& request, Incoming& incoming,
               const curl_slist* headers) {
  set_common_options(easy);
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  if (request.method != "GET") {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "valkeycache/" VALKEYCACHE_VERSION_STRING);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  const auto timeout = std::clamp<Milliseconds::rep>(request.timeout.count(), 1, INT_MAX);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout));
  if (request.bypass_proxy) curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  set_trust(easy, request.ca_file);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &incoming);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &incoming);
}

// Drives the one transfer until it is over or to be stopped. Nothing where it was stopped.
std::optional<CURLcode> drive(CURLM* multi, const std::stop_token& stop) {
  const std::stop_callback wake(stop, [multi] { curl_multi_wakeup(multi); });
  for (;;) {
    int running = 0;
    if (curl_multi_perform(multi, &running) != CURLM_OK) return CURLE_OUT_OF_MEMORY;
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg == CURLMSG_DONE) return message->data.result;
    }
    if (stop.stop_requested()) return std::nullopt;
    curl_multi_poll(multi, nullptr, 0, INT_MAX, nullptr);
  }
}

// False where it was stopped meanwhile.
bool pause_for(Milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace

FetchAnswer fetch(const FetchRequest& request, const std::stop_token& stop) {
  if (!initialize_libcurl()) return {.failure = no_curl};
  Incoming incoming{.max_bytes = request.max_bytes};
  const auto headers = header_list(request);
  const Easy easy(curl_easy_init());
  const Multi multi(curl_multi_init());
  if (!easy || !multi) return {.failure = no_curl};
  configure(easy.get(), request, incoming, headers.get());
  if (curl_multi_add_handle(multi.get(), easy.get()) != CURLM_OK) return {.failure = no_curl};
  const auto code = drive(multi.get(), stop);
  long status = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
  curl_multi_remove_handle(multi.get(), easy.get());

  if (!code) return {.failure = "the client was closed meanwhile", .lasting = true};
  if (incoming.too_large) return {.failure = "the answer is too large", .lasting = true};
  if (*code == CURLE_OPERATION_TIMEDOUT) {
    return {.failure = "no answer within " + std::to_string(request.timeout.count()) + " ms"};
  }
  if (*code != CURLE_OK) return {.failure = curl_easy_strerror(*code)};
  if (status < 200 || status > 999) return {.failure = "what came is no HTTP answer"};
  incoming.answer.status = static_cast<int>(status);
  return std::move(incoming.answer);
}

bool is_passing(const FetchAnswer& answer) noexcept {
  if (answer.status == 0) return !answer.lasting;
  return answer.status == 429 || answer.status >= 500;
}

FetchAnswer fetch_patiently(const FetchRequest& request, const FetchPatience& patience,
                            const std::stop_token& stop) {
  thread_local std::minstd_rand random{std::random_device()()};
  auto pause = patience.pause;
  for (int attempt = 1;; ++attempt, pause *= 2) {
    auto answer = fetch(request, stop);
    const bool passing =
        is_passing(answer) || (patience.also_passing && patience.also_passing(answer));
    if (!passing || attempt >= patience.attempts) return answer;
    const auto longest = std::max<Milliseconds::rep>(pause.count(), 0);
    const Milliseconds waited(std::uniform_int_distribution<Milliseconds::rep>(0, longest)(random));
    if (!pause_for(waited, stop)) return answer;
  }
}

std::string describe(const FetchAnswer& answer) {
  return answer.status != 0 ? "status " + std::to_string(answer.status) : answer.failure;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
