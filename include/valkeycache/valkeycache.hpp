// Everything. A program that needs less includes less.
#pragma once

#include <valkeycache/bedrock_client.hpp>
#include <valkeycache/cache_key.hpp>
#include <valkeycache/cached_llm.hpp>
#include <valkeycache/content.hpp>
#include <valkeycache/elasticache_iam.hpp>
#include <valkeycache/entry.hpp>
#include <valkeycache/future.hpp>
#include <valkeycache/hooks.hpp>
#include <valkeycache/llm.hpp>
#include <valkeycache/observer.hpp>
#include <valkeycache/password.hpp>
#include <valkeycache/result.hpp>
#include <valkeycache/stats.hpp>
#include <valkeycache/transfer.hpp>
#include <valkeycache/ttl.hpp>
#include <valkeycache/valkey_cache.hpp>
#include <valkeycache/warm.hpp>
