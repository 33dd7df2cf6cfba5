// Passwords that change: asked for whenever one is needed.
#pragma once

#include <valkeycache/result.hpp>

#include <chrono>
#include <functional>
#include <string>

namespace valkeycache::inline v0 {

struct Password {
  std::string text;
  // How long the server leaves a connection alone that has logged in with it. After three quarters
  // of that (up to a tenth of it later, so that not all connections do so at once) a connection
  // asks for another password and sends AUTH again, beside the calls. 0: for ever.
  std::chrono::milliseconds life{0};
};

struct PasswordProvider {
  // Gives the password of ValkeyCacheOptions::username. Called for each connection that is made,
  // once it stands and within its connect_timeout, and for each AUTH that is due on one. Called on
  // a thread of the library's own, so that it may block; with many nodes on several at a time, and
  // perhaps once more after the cache was destroyed.
  //
  // Where it fails, throws or gives an empty text the attempt ends, and the calls that wait for it,
  // with ErrorCode::authentication; the next attempt asks again. The error's code is passed on in
  // the message, its own message is not: it may hold a secret. Where that happens on a connection
  // that stands, it goes on, a warning is logged, and it is tried again.
  std::function<Result<Password>()> ask = {};
  // Opening a cache without TLS is an error (invalid_argument).
  bool needs_tls = false;
};

}  // namespace valkeycache::inline v0
