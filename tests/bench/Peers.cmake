# Other client libraries that the machine happens to have: a program each, in bench_peers. None is
# needed, and none is looked for anywhere but where CMake looks (CMAKE_PREFIX_PATH).
set(bench_peers "")

function(valkeycache_add_peer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "INCLUDES;LIBS")
  set(program valkeycache_bench_peer_${name})
  add_executable(${program} peer_${name}.cpp)
  set_target_properties(${program} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_features(${program} PRIVATE cxx_std_20)
  target_include_directories(${program} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_include_directories(${program} SYSTEM PRIVATE ${arg_INCLUDES})
  target_link_libraries(${program} PRIVATE ${arg_LIBS} Threads::Threads)
  valkeycache_set_warnings(${program})
  set(bench_peers ${bench_peers} ${program} PARENT_SCOPE)
endfunction()

find_path(VALKEYCACHE_REDISPP_INCLUDE sw/redis++/redis++.h)
find_library(VALKEYCACHE_REDISPP_LIBRARY redis++)
find_library(VALKEYCACHE_REDISPP_HIREDIS hiredis) # the one that it was built with
cmake_path(GET VALKEYCACHE_REDISPP_HIREDIS PARENT_PATH directory)
find_path(VALKEYCACHE_REDISPP_HIREDIS_INCLUDE hiredis/hiredis.h HINTS "${directory}/../include")
find_library(VALKEYCACHE_LIBUV uv)
find_path(VALKEYCACHE_LIBVALKEY_INCLUDE valkey/valkey.h)
find_library(VALKEYCACHE_LIBVALKEY_LIBRARY valkey)
find_path(VALKEYCACHE_BOOST_REDIS_INCLUDE boost/redis.hpp) # Boost 1.84 or newer
mark_as_advanced(VALKEYCACHE_BOOST_REDIS_INCLUDE VALKEYCACHE_REDISPP_INCLUDE VALKEYCACHE_REDISPP_LIBRARY
                 VALKEYCACHE_REDISPP_HIREDIS VALKEYCACHE_REDISPP_HIREDIS_INCLUDE VALKEYCACHE_LIBUV
                 VALKEYCACHE_LIBVALKEY_INCLUDE VALKEYCACHE_LIBVALKEY_LIBRARY)

if(VALKEYCACHE_REDISPP_INCLUDE AND VALKEYCACHE_REDISPP_LIBRARY)
  set(libraries "${VALKEYCACHE_REDISPP_LIBRARY}")
  set(includes "${VALKEYCACHE_REDISPP_INCLUDE}")
  if(VALKEYCACHE_REDISPP_HIREDIS AND VALKEYCACHE_REDISPP_HIREDIS_INCLUDE)
    list(APPEND libraries "${VALKEYCACHE_REDISPP_HIREDIS}")
    list(APPEND includes "${VALKEYCACHE_REDISPP_HIREDIS_INCLUDE}")
  elseif(TARGET ValkeyCacheHiredis::hiredis)
    list(APPEND libraries ValkeyCacheHiredis::hiredis)
    list(APPEND includes "${ValkeyCacheHiredis_INCLUDE_DIR}")
  endif()
  if(VALKEYCACHE_LIBUV)
    list(APPEND libraries "${VALKEYCACHE_LIBUV}")
  endif()
  valkeycache_add_peer(redis_plus_plus INCLUDES ${includes} LIBS ${libraries})
endif()
if(VALKEYCACHE_LIBVALKEY_INCLUDE AND VALKEYCACHE_LIBVALKEY_LIBRARY)
  valkeycache_add_peer(libvalkey INCLUDES "${VALKEYCACHE_LIBVALKEY_INCLUDE}"
                       LIBS "${VALKEYCACHE_LIBVALKEY_LIBRARY}")
endif()
if(VALKEYCACHE_BOOST_REDIS_INCLUDE)
  # Headers alone, but for OpenSSL.
  valkeycache_add_peer(boost_redis INCLUDES "${VALKEYCACHE_BOOST_REDIS_INCLUDE}"
                       LIBS OpenSSL::SSL OpenSSL::Crypto)
endif()
