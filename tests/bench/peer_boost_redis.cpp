// Boost.Redis: one connection on a thread of its own. W1, W3 and W4 work on that thread, where its
// users' coroutines do; W2's eight threads wait for it.
#include <future>
#include <memory>
#include <tuple>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/consign.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/redis/connection.hpp>
#include <boost/redis/src.hpp>
#include <boost/version.hpp>

#include "bench/peer_main.hpp"

namespace valkeycache::bench::peer {
namespace {

namespace asio = boost::asio;
namespace redis = boost::redis;

class Client {
 public:
  explicit Client(const Task& task)
      : task_(task), connection_(std::make_shared<redis::connection>(context_)) {
    redis::config config;
    config.addr.host = "127.0.0.1";
    config.addr.port = std::to_string(task.port);
    connection_->async_run(config, {redis::logger::level::disabled},
                           asio::consign(asio::detached, connection_));
    thread_ = std::thread([this] { context_.run(); });
  }
  ~Client() {
    asio::post(context_, [this] { connection_->cancel(); });
    thread_.join();
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Done one_after_the_other(Clock::time_point until) {
    return on_the_thread([this, until]() -> asio::awaitable<Done> {
      Done done;
      for (auto before = Clock::now(); before < until;) {
        redis::request request;
        request.push("GET", task_.name(done.operations++));
        redis::response<std::string> response;
        co_await connection_->async_exec(request, response, asio::use_awaitable);
        require(std::get<0>(response).value().size() == task_.bytes);
        const auto now = Clock::now();
        done.latencies_ns.push_back(static_cast<std::uint32_t>((now - before).count()));
        before = now;
      }
      co_return done;
    });
  }

  void wait_for(std::size_t i) {
    redis::request request;
    request.push("GET", task_.name(i));
    redis::response<std::string> response;
    std::promise<void> answered;
    asio::post(context_, [&] {
      connection_->async_exec(request, response,
                              [&](const auto&, std::size_t) { answered.set_value(); });
    });
    answered.get_future().wait();
    require(std::get<0>(response).value().size() == task_.bytes);
  }

  void get_window() {
    std::vector<redis::request> requests(window);
    std::vector<redis::response<std::string>> responses(window);
    std::promise<void> answered;
    std::size_t left = window;
    asio::post(context_, [&] {
      for (std::size_t i = 0; i < window; ++i) {
        requests[i].push("GET", task_.name(i));
        connection_->async_exec(requests[i], responses[i], [&](const auto&, std::size_t) {
          if (--left == 0) answered.set_value();
        });
      }
    });
    answered.get_future().wait();
    for (const auto& response : responses) {
      require(std::get<0>(response).value().size() == task_.bytes);
    }
  }

  Done batches(Clock::time_point until) {
    return on_the_thread([this, until]() -> asio::awaitable<Done> {
      Done done;
      for (; Clock::now() < until; done.operations += batch) {
        const auto first =
            task_.names.begin() +
            static_cast<std::ptrdiff_t>(done.operations % (task_.names.size() - batch + 1));
        redis::request request;
        request.push_range("MGET", first, first + batch);
        redis::response<std::vector<std::string>> response;
        co_await connection_->async_exec(request, response, asio::use_awaitable);
        const auto& values = std::get<0>(response).value();
        require(values.size() == batch);
        for (const auto& value : values) require(value.size() == task_.bytes);
      }
      co_return done;
    });
  }

 private:
  template <class Coroutine>
  Done on_the_thread(Coroutine coroutine) {
    return asio::co_spawn(context_, std::move(coroutine), asio::use_future).get();
  }

  const Task& task_;
  asio::io_context context_{1};
  std::shared_ptr<redis::connection> connection_;
  std::thread thread_;
};

// The task outlives the works.
Works make(const Task& task) {
  const auto client = std::make_shared<Client>(task);
  return {{"W1",
           [client](Clock::time_point until) {
             return client->one_after_the_other(until);
           }},
          {"W2", by_threads([client](std::size_t, std::size_t i) { client->wait_for(i); })},
          {"W3", by_pieces(window, [client](std::size_t) { client->get_window(); })},
          {"W4", [client](Clock::time_point until) {
             return client->batches(until);
           }}};
}

}  // namespace
}  // namespace valkeycache::bench::peer

int main(int argc, char** argv) {
  return valkeycache::bench::peer::run(argc, argv, "Boost.Redis", BOOST_LIB_VERSION,
                                       valkeycache::bench::peer::make);
}
