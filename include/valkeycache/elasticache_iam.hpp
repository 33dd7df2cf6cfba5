// Passwords for ElastiCache's IAM authentication, for ValkeyCacheOptions::password_provider.
#pragma once

#include <valkeycache/bedrock_client.hpp>
#include <valkeycache/password.hpp>

#include <memory>
#include <optional>
#include <string>

namespace valkeycache::inline v0 {

struct ElastiCacheIamOptions {
  // The replication group's id, or the serverless cache's name; not its endpoint.
  std::string cache_name = {};
  // The ElastiCache user's id, which is its name, too; ValkeyCacheOptions::username is the same.
  std::string user = {};
  bool serverless = false;
  // As BedrockOptions have them.
  std::string region = {};
  std::optional<AwsCredentials> credentials = {};
  std::shared_ptr<AwsCredentialsProvider> credentials_provider = {};
  std::string profile = {};
  // Told why there are no credentials; the cache's own errors do not repeat it.
  LogHook log = {};
};

// A provider that signs a token for each connection, good for 15 minutes, and has each connection
// log in anew after nine to eleven of the twelve hours that ElastiCache gives it. For TLS only.
// Credentials are looked for when a token is first needed, and again from five minutes before they
// end; between that and their end the old ones serve where there are no others.
//
// Reads the profile files and, where nothing names a region, waits a second or two for the
// instance's metadata. Errors: invalid_argument; credentials for profile files that cannot be used.
VALKEYCACHE_API Result<PasswordProvider> elasticache_iam(ElastiCacheIamOptions options);

}  // namespace valkeycache::inline v0
