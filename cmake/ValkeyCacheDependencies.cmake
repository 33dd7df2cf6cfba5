# What the libraries are built on. Nothing of it appears in the public headers.

set(VALKEYCACHE_DEPS_DIR "${PROJECT_SOURCE_DIR}/.deps") # filled by scripts/setup

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(OpenSSL 1.1.1 REQUIRED)
find_package(nlohmann_json 3.9 REQUIRED)
if(VALKEYCACHE_BEDROCK)
  find_package(CURL 7.68 REQUIRED)
endif()

if(VALKEYCACHE_FETCH_HIREDIS)
  include(ValkeyCacheFetchHiredis)
else()
  find_package(ValkeyCacheHiredis 1.1 REQUIRED MODULE)
endif()

# A hiredis that a user's machine does not have goes into the library itself.
if(VALKEYCACHE_FETCH_HIREDIS OR ValkeyCacheHiredis_PRIVATE)
  set(_valkeycache_bundle ON)
else()
  set(_valkeycache_bundle OFF)
endif()
option(VALKEYCACHE_BUNDLE_HIREDIS
       "Put hiredis, renamed, into the library instead of requiring it at the user's"
       ${_valkeycache_bundle})
if(VALKEYCACHE_BUNDLE_HIREDIS AND NOT ValkeyCacheHiredis_STATIC)
  message(FATAL_ERROR "VALKEYCACHE_BUNDLE_HIREDIS needs a static libhiredis.a; found "
                      "${ValkeyCacheHiredis_LIBRARY}")
endif()
