// libvalkey, as raw as hiredis is used: blocking, a connection for each thread.
#include <memory>

#include <valkey/valkey.h>

#include "bench/peer_main.hpp"

namespace valkeycache::bench::peer {
namespace {

struct FreeReply {
  void operator()(valkeyReply* reply) const noexcept { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<valkeyReply, FreeReply>;
using Connection = std::shared_ptr<valkeyContext>;

Connection connect(const Task& task) {
  Connection connection(valkeyConnect("127.0.0.1", task.port), valkeyFree);
  if (!connection || connection->err) throw std::runtime_error("no connection");
  return connection;
}

struct Command {
  std::vector<const char*> words;
  std::vector<std::size_t> lengths;

  explicit Command(const std::string& verb) { add(verb); }
  void add(const std::string& word) {
    words.push_back(word.data());
    lengths.push_back(word.size());
  }
};

const std::string get_verb = "GET";
const std::string mget_verb = "MGET";

Reply call(const Connection& connection, Command& command) {
  return Reply(static_cast<valkeyReply*>(
      valkeyCommandArgv(connection.get(), static_cast<int>(command.words.size()),
                        command.words.data(), command.lengths.data())));
}

struct State {
  std::vector<Command> gets;
  std::vector<Command> batches;
  std::vector<Connection> connections;
};

void get(State& state, const Task& task, std::size_t thread, std::size_t i) {
  const auto reply = call(state.connections[thread], state.gets[i % state.gets.size()]);
  require(reply && reply->len == task.bytes);
}

void get_window(State& state, const Task& task) {
  auto* context = state.connections[0].get();
  for (std::size_t i = 0; i < window; ++i) {
    auto& command = state.gets[i % state.gets.size()];
    valkeyAppendCommandArgv(context, static_cast<int>(command.words.size()), command.words.data(),
                            command.lengths.data());
  }
  for (std::size_t i = 0; i < window; ++i) {
    void* found = nullptr;
    require(valkeyGetReply(context, &found) == VALKEY_OK);
    const Reply reply(static_cast<valkeyReply*>(found));
    require(reply->len == task.bytes);
  }
}

void get_batch(State& state, const Task& task, std::size_t i) {
  const auto reply = call(state.connections[0], state.batches[i / batch % state.batches.size()]);
  require(reply && reply->elements == batch);
  for (std::size_t k = 0; k < batch; ++k) require(reply->element[k]->len == task.bytes);
}

// The task outlives the works, and its names the commands that point to them.
Works make(const Task& task) {
  const auto state = std::make_shared<State>();
  for (const auto& name : task.names) {
    state->gets.emplace_back(get_verb);
    state->gets.back().add(name);
  }
  for (std::size_t i = 0; i + batch <= task.names.size(); i += batch) {
    state->batches.emplace_back(mget_verb);
    for (std::size_t k = i; k < i + batch; ++k) state->batches.back().add(task.names[k]);
  }
  for (std::size_t i = 0; i < thread_count; ++i) state->connections.push_back(connect(task));
  return {{"W1", one_after_the_other([state, &task](std::size_t i) { get(*state, task, 0, i); })},
          {"W2", by_threads([state, &task](std::size_t thread, std::size_t i) {
             get(*state, task, thread, i);
           })},
          {"W3", by_pieces(window, [state, &task](std::size_t) { get_window(*state, task); })},
          {"W4", by_pieces(batch, [state, &task](std::size_t i) { get_batch(*state, task, i); })}};
}

}  // namespace
}  // namespace valkeycache::bench::peer

int main(int argc, char** argv) {
  const auto version = std::to_string(LIBVALKEY_VERSION_MAJOR) + "." +
                       std::to_string(LIBVALKEY_VERSION_MINOR) + "." +
                       std::to_string(LIBVALKEY_VERSION_PATCH);
  return valkeycache::bench::peer::run(argc, argv, "libvalkey", version,
                                       valkeycache::bench::peer::make);
}
