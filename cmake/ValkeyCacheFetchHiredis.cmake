# VALKEYCACHE_FETCH_HIREDIS: hiredis from its own release, pinned by its hash, built here as a static
# library. Its own CMakeLists.txt is not used: it would add install rules and tests to ours.

include(FetchContent)

set(VALKEYCACHE_HIREDIS_URL
    "https://github.com/redis/hiredis/archive/refs/tags/v1.2.0.tar.gz"
    CACHE STRING "Where the hiredis 1.2.0 release is fetched from; a file name will do")
mark_as_advanced(VALKEYCACHE_HIREDIS_URL)

# SOURCE_SUBDIR names a folder without a CMakeLists.txt, so that MakeAvailable only unpacks.
# The folder is called "hiredis" because that is how its headers are included.
FetchContent_Declare(
  valkeycache_hiredis
  URL "${VALKEYCACHE_HIREDIS_URL}"
  URL_HASH SHA256=82ad632d31ee05da13b537c124f819eb88e18851d9cb0c30ae0552084811588c
  SOURCE_DIR "${PROJECT_BINARY_DIR}/_deps/hiredis-src/hiredis"
  SOURCE_SUBDIR adapters)
FetchContent_MakeAvailable(valkeycache_hiredis)

enable_language(C)
set(_vch_src "${valkeycache_hiredis_SOURCE_DIR}")
foreach(_vch_lib IN ITEMS hiredis hiredis_ssl)
  if(_vch_lib STREQUAL "hiredis")
    add_library(valkeycache_fetched_hiredis STATIC EXCLUDE_FROM_ALL
      "${_vch_src}/alloc.c" "${_vch_src}/async.c" "${_vch_src}/hiredis.c" "${_vch_src}/net.c"
      "${_vch_src}/read.c" "${_vch_src}/sds.c" "${_vch_src}/sockcompat.c")
  else()
    add_library(valkeycache_fetched_hiredis_ssl STATIC EXCLUDE_FROM_ALL "${_vch_src}/ssl.c")
    target_link_libraries(valkeycache_fetched_hiredis_ssl PUBLIC OpenSSL::SSL OpenSSL::Crypto)
  endif()
  target_include_directories(valkeycache_fetched_${_vch_lib} SYSTEM
                             PUBLIC "${_vch_src}" "${PROJECT_BINARY_DIR}/_deps/hiredis-src")
  set_target_properties(
    valkeycache_fetched_${_vch_lib}
    PROPERTIES POSITION_INDEPENDENT_CODE ON
               C_VISIBILITY_PRESET default
               INTERPROCEDURAL_OPTIMIZATION OFF
               OUTPUT_NAME ${_vch_lib})
  add_library(ValkeyCacheHiredis::${_vch_lib} ALIAS valkeycache_fetched_${_vch_lib})
endforeach()

set(ValkeyCacheHiredis_STATIC ON)
set(ValkeyCacheHiredis_VERSION 1.2.0)
set(ValkeyCacheHiredis_LIBRARY "$<TARGET_FILE:valkeycache_fetched_hiredis>")
set(ValkeyCacheHiredis_SSL_LIBRARY "$<TARGET_FILE:valkeycache_fetched_hiredis_ssl>")
set(ValkeyCacheHiredis_INCLUDE_DIR "${PROJECT_BINARY_DIR}/_deps/hiredis-src")
unset(_vch_src)
unset(_vch_lib)
