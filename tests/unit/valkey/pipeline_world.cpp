#include "pipeline_world.hpp"

#include <algorithm>
#include <utility>

#include "probe_command.hpp"

namespace valkeycache::testing {
namespace {

using namespace std::chrono_literals;
using detail::Pipeline;
using Effect = detail::Command::Effect;
using What = Move::What;

constexpr std::size_t value_limit = 100;

Error gone() {
  return {.code = ErrorCode::connection_lost, .message = "gone", .retryable = true};
}
Error closed() {
  return {.code = ErrorCode::closed, .message = "closed"};
}

const char* name_of(What what) {
  static constexpr const char* names[] = {
      "submit_read", "submit_change", "submit_store",  "submit_pair", "connect",   "lose",
      "stage",       "send_some",     "send_all",      "reply_some",  "reply_one", "reply_all",
      "reply_wrong", "reply_large",   "reply_unasked", "push",        "cancel",    "expire",
      "expire_all",  "publish",       "close"};
  return names[static_cast<std::size_t>(what)];
}

bool is_submit(What what) {
  return what <= What::submit_pair;
}

}  // namespace

std::string to_string(const std::vector<Move>& path) {
  std::string text;
  for (const auto& move : path) {
    text += text.empty() ? "" : ", ";
    text += name_of(move.what);
    if (move.what == What::cancel || move.what == What::expire) {
      text += " " + std::to_string(move.command);
    }
  }
  return text;
}

class World::Probe final : public detail::CountedCommand {
 public:
  Probe(Given& given, int& alive) : given_(given), alive_(alive) { ++alive_; }
  ~Probe() override { --alive_; }
  bool on_early_reply(detail::Reply&& reply) override {
    given_.text = std::move(reply.text);
    return reply.type == detail::Reply::Type::string;
  }
  bool on_reply(detail::Reply&& reply, detail::Counters& /*counters*/) override {
    ++given_.replies;
    if (given_.early_size > 0) {
      given_.number = reply.integer;
      return reply.type == detail::Reply::Type::integer;
    }
    given_.text = std::move(reply.text);
    return reply.type == detail::Reply::Type::string || reply.type == detail::Reply::Type::status;
  }
  void on_error(Error&& error) override {
    ++given_.errors;
    given_.error = std::move(error);
  }
  void publish() noexcept override { ++given_.published; }

 private:
  Given& given_;
  int& alive_;
};

World::World(const Plan& plan, std::span<const Move> path) : plan_(plan) {
  // A command's deadline is the time of the first move after its submission that lets it pass.
  auto time = begin_;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const auto move = path[i];
    if (is_submit(move.what)) {
      deadlines_.push_back(detail::SteadyTime::max());
    } else if (move.what == What::expire || move.what == What::expire_all) {
      time += 10ms;
      for (std::size_t n = 0; n < deadlines_.size(); ++n) {
        if (move.what == What::expire && n != move.command) continue;
        deadlines_[n] = std::min(deadlines_[n], time);
      }
    }
  }
  for (auto& deadline : deadlines_) deadline = std::min(deadline, begin_ + 24h);
  pipeline_.emplace(detail::ReplyLimits{.value_bytes = value_limit, .reply_bytes = value_limit},
                    counters_, begin_);
}

World::~World() = default;

void World::require(bool condition, std::string_view what) {
  if (!condition && wrong_.empty()) wrong_ = what;
}

bool World::waiting(std::size_t number) const {
  if (number >= submitted_ || !given_[number].live()) return false;
  return std::none_of(asked_.begin(), asked_.end(),
                      [&](const Asked& asked) { return asked.command == number; });
}

bool World::anything_live() const {
  return std::any_of(given_.begin(), given_.begin() + static_cast<std::ptrdiff_t>(submitted_),
                     [](const Given& given) { return given.live(); });
}

std::size_t World::answerable() const {
  std::size_t count = 0;
  while (count < asked_.size() && asked_[count].end <= sent_) ++count;
  return count;
}

bool World::between_replies() const {
  return reply_fed_ == 0 || reply_fed_ == given_[asked_[answered_].command].early_size;
}

std::vector<std::size_t> World::cuts(std::size_t request) const {
  const auto& given = given_[asked_[request].command];
  const auto size = given.reply.size();
  std::vector<std::size_t> at;
  if (plan_.every_byte) {
    for (std::size_t cut = 1; cut <= size; ++cut) at.push_back(cut);
  } else if (given.early_size > 0) {
    at = {1, given.early_size - 3, given.early_size, given.early_size + 1, size};
  } else {
    at = {1, size - 3, size};  // in the header and in the text
  }
  return at;
}

// --- moves ---

std::vector<Move> World::moves() const {
  std::vector<Move> all;
  const auto add = [&](What what, std::size_t command = 0) {
    all.push_back({what, static_cast<std::uint8_t>(command)});
  };
  if (submitted_ < plan_.commands && !closing_) {
    for (const auto kind : plan_.kinds) add(kind);
  }
  if (up_) {
    add(What::lose);
    bool some_wait = false;
    for (std::size_t i = 0; i < submitted_; ++i) some_wait = some_wait || waiting(i);
    if (some_wait) add(What::stage);
    if (some_wait || sent_ < stream_.size()) {
      add(What::send_some);
      add(What::send_all);
    }
    if (answered_ < answerable()) {
      add(What::reply_some);
      add(What::reply_one);
      if (answered_ + 1 < answerable()) add(What::reply_all);
      if (between_replies()) {
        add(What::reply_wrong);
        add(What::reply_large);
      }
    }
    if (between_replies()) add(What::push);
    if (answered_ == asked_.size()) add(What::reply_unasked);
  } else {
    add(What::connect);
  }
  bool ended = false;
  bool unpublished = false;
  for (std::size_t i = 0; i < submitted_; ++i) {
    add(What::cancel, i);  // of one that has ended too: it must do nothing
    if (given_[i].live()) add(What::expire, i);
    ended = ended || !given_[i].live();
    unpublished = unpublished || (!given_[i].live() && given_[i].published == 0);
  }
  if (anything_live()) add(What::expire_all);
  if (unpublished) add(What::publish);
  if (!closing_ && submitted_ > 0) add(What::close);
  return all;
}

void World::make(Move move) {
  make_unchecked(move);
  check();
}

void World::retrace(std::span<const Move> path) {
  for (const auto& move : path) make_unchecked(move);
}

void World::make_unchecked(Move move) {
  switch (move.what) {
    case What::submit_read:
      submit(Effect::none);
      break;
    case What::submit_change:
      submit(Effect::change);
      break;
    case What::submit_store:
      submit(Effect::store);
      break;
    case What::submit_pair:
      submit(Effect::none, true);
      break;
    case What::connect:
      pipeline_->connected();
      up_ = true;
      break;
    case What::lose:
      lose();
      break;
    case What::stage:
      stage();
      break;
    case What::send_some: {
      stage();
      const auto at = std::find_if(asked_.begin(), asked_.end(),
                                   [&](const Asked& asked) { return asked.end > sent_; });
      if (at == asked_.end()) break;
      const auto middle = at->begin + (at->end - at->begin) / 2;
      send((sent_ < middle ? middle : at->end) - sent_);
      break;
    }
    case What::send_all:
      stage();
      send(stream_.size() - sent_);
      break;
    case What::reply_some: {
      const auto at = cuts(answered_);
      reply(*std::upper_bound(at.begin(), at.end(), reply_fed_) - reply_fed_);
      break;
    }
    case What::reply_one:
      reply(given_[asked_[answered_].command].reply.size() - reply_fed_);
      break;
    case What::reply_all: {
      std::size_t bytes = 0;
      for (auto i = answered_; i < answerable(); ++i) {
        bytes += given_[asked_[i].command].reply.size();
      }
      reply(bytes - reply_fed_);
      break;
    }
    case What::reply_wrong:
      // Of two, the second one is a number by right.
      reply_with(reply_fed_ == 0 ? ":5\r\n" : "$1\r\nx\r\n", Pipeline::Fed::malformed);
      break;
    case What::reply_large:
      reply_with("$" + std::to_string(value_limit + 1) + "\r\n", Pipeline::Fed::too_large);
      break;
    case What::reply_unasked:
      reply_with("+OK\r\n", Pipeline::Fed::unsolicited);
      break;
    case What::push:
      require(
          pipeline_->feed(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n") == Pipeline::Fed::fine,
          "a push is not fine");
      break;
    case What::cancel: {
      const bool live = given_[move.command].live();
      // Nobody holds on to a command that was published.
      if (given_[move.command].published == 0) {
        pipeline_->fail(*given_[move.command].command,
                        {.code = ErrorCode::cancelled, .message = "cancelled"});
      }
      if (live) expect_ended(move.command, ErrorCode::cancelled);
      break;
    }
    case What::expire:
    case What::expire_all: {
      std::vector<std::size_t> due;
      for (std::size_t i = 0; i < submitted_; ++i) {
        if (given_[i].live() && (move.what == What::expire_all || i == move.command)) {
          due.push_back(i);
        }
      }
      now_ = given_[due.front()].deadline + 5ms;
      const auto down = gone();
      pipeline_->expire(now_, up_ ? nullptr : &down);
      for (const auto i : due) {
        expect_ended(i, up_ ? ErrorCode::timeout : ErrorCode::connection_lost);
      }
      break;
    }
    case What::publish:
      pipeline_->publish();
      break;
    case What::close:
      closing_ = true;
      pipeline_->fail_all_but_stores(closed());
      for (std::size_t i = 0; i < submitted_; ++i) {
        if (given_[i].effect != Effect::store) {
          require(!given_[i].live(), "closing spared what is no store");
        }
      }
      break;
  }
  if (!plan_.late_publish) pipeline_->publish();
}

void World::submit(Effect effect, bool pair) {
  const auto number = submitted_++;
  auto& given = given_[number];
  const auto key = std::to_string(number);
  given.effect = effect;
  given.request = effect == Effect::none ? detail::make_request({"GET", key})
                                         : detail::make_request({"SET", key, "v"});
  given.reply = effect == Effect::none ? bulk("of " + key) : "+OK " + key + "\r\n";
  if (pair) {
    given.early_size = given.reply.size();
    given.request += detail::make_request({"PTTL", key});
    given.reply += ":" + key + "\r\n";
  }
  given.deadline = deadlines_[number];
  auto command = detail::Ref<Probe>::adopt(new Probe(given, probes_));
  command->request = given.request;
  command->effect = effect;
  command->deadline = given.deadline;
  command->replies = pair ? 2 : 1;
  given.command = command.get();
  pipeline_->add(std::move(command));
  given.store_mark = pipeline_->close_store_epoch();
}

void World::stage() {
  const auto bytes = pipeline_->to_send();
  const auto known = std::string_view(stream_).substr(sent_);
  require(bytes.substr(0, known.size()) == known, "what was to be sent has changed");
  auto fresh = std::string_view(bytes).substr(std::min(known.size(), bytes.size()));
  while (!fresh.empty()) {
    std::size_t number = 0;
    while (number < submitted_ && !fresh.starts_with(given_[number].request)) ++number;
    if (number == submitted_) return require(false, "something is sent that is no request");
    auto& given = given_[number];
    require(given.live(), "a command is sent that has ended");
    require(waiting(number), "a command is sent twice on a connection");
    require(asked_.empty() || asked_.back().command < number, "commands are sent out of order");
    require(given.touched < (given.effect == Effect::none ? 2 : 1),
            "a command is sent again that must not be");
    given.staged_ever = true;
    asked_.push_back({number, stream_.size(), stream_.size() + given.request.size()});
    stream_ += given.request;
    fresh.remove_prefix(given.request.size());
  }
  for (std::size_t i = 0; i < submitted_; ++i) {
    require(!waiting(i), "a command is held back though there is room");
  }
}

void World::send(std::size_t bytes) {
  for (const auto& asked : asked_) {
    if (asked.begin >= sent_ && asked.begin < sent_ + bytes) ++given_[asked.command].touched;
  }
  sent_ += bytes;
  pipeline_->sent(bytes);
}

void World::reply(std::size_t bytes) {
  std::string text;
  const auto first = answered_;
  auto left = bytes;
  std::array<bool, most_commands> was_live{};
  for (std::size_t i = 0; i < submitted_; ++i) was_live[i] = given_[i].live();
  while (left > 0) {
    const auto& whole = given_[asked_[answered_].command].reply;
    const auto now = std::min(left, whole.size() - reply_fed_);
    text += whole.substr(reply_fed_, now);
    reply_fed_ += now;
    left -= now;
    if (reply_fed_ == whole.size()) {
      reply_fed_ = 0;
      ++answered_;
    }
  }
  require(pipeline_->feed(text) == Pipeline::Fed::fine, "a right reply is not fine");
  for (auto i = first; i < answered_; ++i) {
    const auto number = asked_[i].command;
    if (was_live[number]) {
      require(given_[number].replies == 1, "a reply did not reach its command");
    } else {
      require(given_[number].errors == 1, "a reply reached a command that had ended");
    }
    was_live[number] = false;
  }
  for (std::size_t i = 0; i < submitted_; ++i) {
    require(given_[i].live() || !was_live[i], "a reply ended another command than its own");
  }
}

// The rest of what the server was asked is in doubt, so the connection goes.
void World::reply_with(std::string_view text, Pipeline::Fed expected) {
  const auto number = answered_ < asked_.size() ? asked_[answered_].command : most_commands;
  const bool live = number < most_commands && given_[number].live();
  const auto fed = pipeline_->feed(text);
  if (expected == Pipeline::Fed::malformed && !live && fed == Pipeline::Fed::fine) {
    // Nobody looks at a reply that nobody waits for; it is that command's all the same.
    if (reply_fed_ == 0 && given_[number].early_size > 0) {
      reply_fed_ = given_[number].early_size;
    } else {
      ++answered_;
      reply_fed_ = 0;
    }
    return;
  }
  require(fed == expected, "a bad reply is taken for another thing");
  if (expected == Pipeline::Fed::malformed && live) {
    require(given_[number].replies + given_[number].errors == 1,
            "a wrong reply did not end its command");
    given_[number].text.clear();
    given_[number].number = -1;
  }
  if (expected == Pipeline::Fed::too_large && live) expect_ended(number, ErrorCode::too_large);
  lose();
}

void World::lose() {
  std::array<bool, most_commands> was_live{};
  for (std::size_t i = 0; i < submitted_; ++i) was_live[i] = given_[i].live();
  pipeline_->disconnected(gone());
  for (const auto& asked : asked_) {
    const auto& given = given_[asked.command];
    const bool again = asked.begin >= sent_ || (given.effect == Effect::none && given.touched < 2);
    if (!was_live[asked.command]) continue;
    if (again) {
      require(given.live(), "a command that could be sent again was not spared");
    } else {
      expect_ended(asked.command, ErrorCode::connection_lost);
    }
    was_live[asked.command] = false;
  }
  for (std::size_t i = 0; i < submitted_; ++i) {
    require(given_[i].live() || !was_live[i], "a loss ended a command that was not under way");
  }
  up_ = false;
  stream_.clear();
  sent_ = 0;
  asked_.clear();
  answered_ = 0;
  reply_fed_ = 0;
}

void World::expect_ended(std::size_t number, ErrorCode code) {
  const auto& given = given_[number];
  require(given.errors == 1 && given.error.code == code, "a command did not end as it had to");
  if (given.effect == Effect::none || !given.staged_ever) {
    require(!given.error.maybe_applied, "maybe_applied, of what cannot be");
  } else if (given.touched > 0) {
    require(given.error.maybe_applied, "a write that was sent must be maybe_applied");
  }
}

// --- what holds in every state ---

void World::check() {
  std::size_t load = asked_.size() - answered_;
  std::size_t load_bytes = 0;
  for (auto i = answered_; i < asked_.size(); ++i) {
    load_bytes += given_[asked_[i].command].request.size();
  }
  bool unpublished = false;
  bool stores = false;
  for (std::size_t i = 0; i < submitted_; ++i) {
    const auto& given = given_[i];
    require(given.replies + given.errors <= 1, "a command ended twice");
    require(given.published <= given.replies + given.errors,
            "a command was published before its end, or twice");
    if (given.replies == 1 && !given.text.empty()) {
      require(given.reply.find(given.text) != std::string::npos, "a command got another's reply");
    }
    require(given.number < 0 || given.number == static_cast<std::int64_t>(i),
            "a command got another's second reply");
    if (!given.live()) unpublished = unpublished || given.published == 0;
    stores = stores || (given.live() && given.effect == Effect::store);
    require(pipeline_->stores_done_until(given.store_mark) == !stores,
            "the stores until then are not told rightly");
    if (waiting(i)) {
      ++load;
      load_bytes += given.request.size();
    }
  }
  require(pipeline_->has_outcomes() == unpublished, "has_outcomes");
  require(pipeline_->slots_in_flight() == asked_.size() - answered_, "slots_in_flight");
  require(pipeline_->load() == load, "load");
  require(pipeline_->load_bytes() == load_bytes, "load_bytes");
  require(pipeline_->idle() == !anything_live(), "idle");
  require(pipeline_->has_stores() == stores, "has_stores");
  require(pipeline_->next_deadline().has_value() == anything_live(), "next_deadline");
}

std::string World::name() const {
  std::string text;
  text += static_cast<char>('0' + submitted_);
  text += closing_ ? 'c' : '-';
  text += up_ ? 'u' : '-';
  for (std::size_t i = 0; i < submitted_; ++i) {
    const auto& given = given_[i];
    if (!given.live()) {
      text += given.published == 0 ? 'e' : '.';
      continue;
    }
    text += given.early_size > 0 ? 'p' : static_cast<char>('0' + static_cast<int>(given.effect));
    text += static_cast<char>('0' + given.touched);
  }
  for (auto i = answered_; i < asked_.size(); ++i) {
    const auto& asked = asked_[i];
    text += static_cast<char>('A' + asked.command);
    if (const auto& given = given_[asked.command]; !given.live()) {
      // What its reply is like.
      text += given.early_size > 0 ? 'p' : given.effect == Effect::none ? 'r' : 'w';
    }
    text += asked.end <= sent_ ? 's' : asked.begin < sent_ ? 'h' : 'n';
  }
  text += static_cast<char>('a' + reply_fed_);
  return text;
}

// --- ways out ---

void World::drain() {
  if (!up_) make({What::connect});
  make({What::send_all});
  while (answered_ < answerable()) make({What::reply_one});
  make({What::publish});
  for (std::size_t i = 0; i < submitted_; ++i) {
    require(given_[i].replies + given_[i].errors == 1 && given_[i].published == 1,
            "not all ended when the server had answered all");
  }
  require(pipeline_->load() == 0 && pipeline_->load_bytes() == 0, "load is left");
  pipeline_->expire(begin_ + 48h, nullptr);
  require(!pipeline_->has_outcomes(), "a deadline ended a command again");
  require(probes_ == 0, "a command is not let go");
}

void World::destroy() {
  pipeline_.reset();
  for (std::size_t i = 0; i < submitted_; ++i) {
    require(given_[i].replies + given_[i].errors == 1 && given_[i].published == 1,
            "not all ended when the pipeline was destroyed");
  }
  require(probes_ == 0, "a command is not let go");
}

}  // namespace valkeycache::testing
