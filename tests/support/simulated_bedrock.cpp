// The simulated Bedrock as a program of its own, for demonstrations and scripts.
//
//   simulated_bedrock [--port N] [--delay-ms N] [--stream-pace-ms N] [--port-file FILE]
//                     [--access-key ID --secret KEY]
//                     [--session-token T] [--bearer-token T] [--anonymous] [--region R]
//                     [--named-faults]
//
// Prints the address it listens on (127.0.0.1; port 0, the default, takes any free one) and, with
// --port-file, writes the port's number there. GET /__stats tells how many calls there were. With
// --named-faults, support/bedrock/named_faults.hpp holds. Ends on SIGINT and SIGTERM, and when its
// parent ends.
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>

#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include "support/bedrock/named_faults.hpp"
#include "support/bedrock/simulated_bedrock.hpp"

namespace {

int usage() {
  std::cerr << "usage: simulated_bedrock [--port N] [--delay-ms N] [--stream-pace-ms N]\n"
               "                         [--port-file FILE]\n"
               "                         [--access-key ID] [--secret KEY] [--session-token T]\n"
               "                         [--bearer-token T] [--anonymous] [--region R]\n"
               "                         [--named-faults]\n";
  return 2;
}

template <class Number>
bool parse(const std::string& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

// Written under another name first, so that whoever waits for the file finds it whole.
bool write_port(const std::string& path, unsigned port) {
  const auto temporary = path + ".new";
  std::ofstream file(temporary);
  file << port << '\n';
  file.close();
  return file && std::rename(temporary.c_str(), path.c_str()) == 0;
}

int run(int argc, char** argv) {
  valkeycache::test::SimulatedBedrockOptions options;
  std::string port_file;
  bool with_faults = false;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--anonymous") {
      options.allow_anonymous = true;
      continue;
    }
    if (name == "--named-faults") {
      with_faults = true;
      continue;
    }
    if (++i == argc) return usage();
    const std::string value = argv[i];
    long long delay = 0;
    if (name == "--port") {
      if (!parse(value, options.port)) return usage();
    } else if (name == "--delay-ms") {
      if (!parse(value, delay) || delay < 0) return usage();
      options.delay = std::chrono::milliseconds(delay);
    } else if (name == "--stream-pace-ms") {
      if (!parse(value, delay) || delay < 0) return usage();
      options.stream_pace = std::chrono::milliseconds(delay);
    } else if (name == "--port-file") {
      port_file = value;
    } else if (name == "--access-key") {
      options.access_key = value;
    } else if (name == "--secret") {
      options.secret_key = value;
    } else if (name == "--session-token") {
      options.session_token = value;
    } else if (name == "--bearer-token") {
      options.bearer_token = value;
    } else if (name == "--region") {
      options.region = value;
    } else {
      return usage();
    }
  }

  // Waited for below; blocked before any thread exists, so that all have them blocked.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
#if defined(__linux__)
  const auto parent = getppid();
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) return 0;  // it went in between
#endif

  valkeycache::test::SimulatedBedrock bedrock(options);
  if (with_faults) bedrock.set_rule(valkeycache::test::named_faults());
  std::cout << "simulated Bedrock on " << bedrock.url() << std::endl;
  if (!port_file.empty() && !write_port(port_file, bedrock.port())) {
    std::cerr << "simulated_bedrock: cannot write " << port_file << '\n';
    return 1;
  }
  int received = 0;
  sigwait(&signals, &received);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "simulated_bedrock: " << error.what() << '\n';
    return 1;
  }
}
