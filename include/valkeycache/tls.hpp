// TLS to Valkey: whom to trust and how to be known.
#pragma once

#include <cstdint>
#include <string>

namespace valkeycache::inline v0 {

enum class TlsVersion : std::uint8_t { v1_2, v1_3 };

// In force where `enabled`, which valkeys:// and rediss:// set. Files are PEM. They are read when
// the cache is opened, where an unusable one is an error (invalid_argument, naming the option), and
// again before a connection is made once they have changed, so that certificates are renewed
// without a restart; a file that is unusable then is logged, and what was read before stays in
// force.
struct TlsOptions {
  bool enabled = false;

  // Who may sign the server's certificate: the authorities in this file, in this folder (hashed, as
  // openssl-rehash leaves it), or in both. Both empty: those that the system trusts.
  std::string ca_file = {};
  std::string ca_directory = {};

  // The name (or address) that the certificate must be for, and that the server is told (SNI; names
  // only). Empty: the host. Needed where one connects to something else than what the certificate
  // names, such as a tunnel.
  std::string server_name = {};

  // What this client shows, where servers ask for it: its certificate, with those in between up to
  // the authority's, and its key. Both or neither.
  std::string certificate_file = {};
  std::string key_file = {};
  std::string key_password = {};  // of an encrypted key

  TlsVersion minimum_version = TlsVersion::v1_2;

  // Talks to whoever answers: neither chain nor name are looked at, and anybody on the way can read
  // and change everything. A warning is logged when the cache is opened.
  bool insecure_skip_verification = false;
};

}  // namespace valkeycache::inline v0
