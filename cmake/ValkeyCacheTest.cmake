# valkeycache_add_test(<name>
#   SOURCES <file>...        relative to the caller's folder
#   [LIBS <target>...]       ValkeyCache::cache, ::llm, ::bedrock and whatever else it needs
#   [TIMEOUT <seconds>]      for each test case, or for the whole program with ONE_PROCESS; 60
#   [LABELS <label>...]      "long" keeps a test out of everyday runs (scripts/test --long)
#   [ONE_PROCESS]            one ctest test for the program instead of one for each case; for
#                            programs whose set-up is dear, such as a server shared by all cases
#   [SERIAL]                 runs while no other test does: it has narrow time limits
#   [NO_MAIN])               the sources have a main() of their own
#
# Makes the program <name> on GoogleTest and tells ctest of it. The sources may include internal
# headers ("key/sha256.hpp") and the tests' own ("support/..."), and see these definitions:
#
#   VALKEYCACHE_TEST_DATA       the folder tests/data
#   VALKEYCACHE_SHARED_VECTORS  a folder of further test vectors beside the checkout; may be absent
#   VALKEYCACHE_TEST_SERVER     the valkey-server found when CMake ran, or ""; the environment
#                               variable VALKEYCACHE_SERVER goes before it

include(GoogleTest)

# What tests need besides the libraries: internal headers and the headers those include.
if(NOT TARGET valkeycache_test_base)
  add_library(valkeycache_test_base INTERFACE)
  target_include_directories(valkeycache_test_base INTERFACE "${PROJECT_SOURCE_DIR}/src"
                                                             "${PROJECT_SOURCE_DIR}/tests")
  target_include_directories(valkeycache_test_base SYSTEM
                             INTERFACE "${ValkeyCacheHiredis_INCLUDE_DIR}")
  target_link_libraries(
    valkeycache_test_base INTERFACE nlohmann_json::nlohmann_json OpenSSL::SSL OpenSSL::Crypto
                                    Threads::Threads)
  if(TARGET ValkeyCacheHiredis::hiredis)
    target_link_libraries(valkeycache_test_base INTERFACE ValkeyCacheHiredis::hiredis)
  endif()

  # Kept in step with valkey_server in scripts/lib.sh.
  set(_valkeycache_server "$ENV{VALKEYCACHE_SERVER}")
  if(NOT _valkeycache_server)
    find_program(
      VALKEYCACHE_FOUND_SERVER NAMES valkey-server redis-server
      HINTS "${VALKEYCACHE_DEPS_DIR}/valkey/bin" NO_CACHE)
    if(VALKEYCACHE_FOUND_SERVER)
      set(_valkeycache_server "${VALKEYCACHE_FOUND_SERVER}")
    endif()
  endif()
  target_compile_definitions(
    valkeycache_test_base
    INTERFACE "VALKEYCACHE_TEST_DATA=\"${PROJECT_SOURCE_DIR}/tests/data\""
              "VALKEYCACHE_SHARED_VECTORS=\"${PROJECT_SOURCE_DIR}/../shared/vectors\""
              "VALKEYCACHE_TEST_SERVER=\"${_valkeycache_server}\"")
endif()

# How everything under tests/ is compiled, benchmarks apart: quickly. The libraries keep the
# preset's optimisation; in the tests' own code it, and the sanitizers' checks written out at each
# place, would cost several times what they save when the tests run.
function(valkeycache_compile_as_test target)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_features(${target} PRIVATE cxx_std_20)
  valkeycache_set_warnings(${target})
  if(CMAKE_BUILD_TYPE STREQUAL "Debug" AND CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
    target_compile_options(${target} PRIVATE -O0)
    if(VALKEYCACHE_SANITIZE MATCHES "address" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      target_compile_options(${target}
                             PRIVATE "SHELL:--param asan-instrumentation-with-call-threshold=0")
    endif()
  endif()
  if(TARGET valkeycache_precompiled AND NOT target STREQUAL valkeycache_precompiled)
    # It serves where the same things are defined.
    target_link_libraries(${target} PRIVATE valkeycache_test_base GTest::gmock)
    target_precompile_headers(${target} REUSE_FROM valkeycache_precompiled)
  endif()
endfunction()

# Reading GoogleTest and the standard library is a third of the work for a test's source.
if(VALKEYCACHE_PRECOMPILE AND NOT TARGET valkeycache_precompiled)
  file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/precompiled.cpp" "")
  add_library(valkeycache_precompiled OBJECT "${CMAKE_CURRENT_BINARY_DIR}/precompiled.cpp")
  target_link_libraries(valkeycache_precompiled PRIVATE valkeycache_test_base GTest::gmock)
  valkeycache_compile_as_test(valkeycache_precompiled)
  target_precompile_headers(
    valkeycache_precompiled PRIVATE
    <algorithm> <atomic> <chrono> <condition_variable> <deque> <fstream> <functional> <future> <map>
    <memory> <mutex> <optional> <random> <set> <sstream> <stop_token> <string> <string_view> <thread>
    <unordered_map> <utility> <variant> <vector>
    <gmock/gmock.h> <gtest/gtest.h> <nlohmann/json.hpp>)
endif()

function(valkeycache_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "ONE_PROCESS;NO_MAIN;SERIAL" "TIMEOUT"
                        "SOURCES;LIBS;LABELS")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES)
    message(FATAL_ERROR "valkeycache_add_test(${name}): ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()

  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LIBS} valkeycache_test_base GTest::gmock)
  if(NOT arg_NO_MAIN)
    target_link_libraries(${name} PRIVATE GTest::gmock_main)
  endif()
  valkeycache_compile_as_test(${name})

  if(arg_ONE_PROCESS)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} RUN_SERIAL ${arg_SERIAL})
    if(arg_LABELS)
      set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}")
    endif()
  else()
    gtest_discover_tests(
      ${name}
      TEST_PREFIX "${name}."
      TEST_LIST ${name}_cases
      NO_PRETTY_VALUES # names without blanks and brackets, which -R can be given
      DISCOVERY_MODE PRE_TEST
      DISCOVERY_TIMEOUT 60
      PROPERTIES TIMEOUT ${arg_TIMEOUT} RUN_SERIAL ${arg_SERIAL})
    if(arg_LABELS)
      # A list does not survive as a property given above. ctest reads this file after those that
      # tell it of the cases.
      set(labels_file "${CMAKE_CURRENT_BINARY_DIR}/${name}_labels.cmake")
      file(WRITE "${labels_file}"
           "if(${name}_cases)\n  set_tests_properties(\${${name}_cases} PROPERTIES LABELS "
           "\"${arg_LABELS}\")\nendif()\n")
      set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${labels_file}")
    endif()
  endif()
endfunction()
