#include <valkeycache/llm.hpp>

#include <utility>

#include "llm/completion_events.hpp"

namespace valkeycache::inline v0 {

Llm::~Llm() = default;

Future<Completion> Llm::stream(const ChatRequest& request, StreamHandler on_event,
                               CallOptions options) {
  return complete(request, std::move(options))
      .then([on_event = std::move(on_event)](Result<Completion> answer) {
        if (answer && on_event) detail::tell_as_events(*answer, on_event);
        return answer;
      });
}

}  // namespace valkeycache::inline v0
