// Version and symbol visibility. Included by every public header.
#pragma once

#define VALKEYCACHE_VERSION_MAJOR 0
#define VALKEYCACHE_VERSION_MINOR 1
#define VALKEYCACHE_VERSION_PATCH 0
#define VALKEYCACHE_VERSION_STRING "0.1.0"

// VALKEYCACHE_SHARED and VALKEYCACHE_BUILDING are set by the build: the first for everybody who
// uses the shared libraries, the second only while they are built.
#if defined(_WIN32) && defined(VALKEYCACHE_SHARED)
#if defined(VALKEYCACHE_BUILDING)
#define VALKEYCACHE_API __declspec(dllexport)
#else
#define VALKEYCACHE_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define VALKEYCACHE_API __attribute__((visibility("default")))
#else
#define VALKEYCACHE_API
#endif
