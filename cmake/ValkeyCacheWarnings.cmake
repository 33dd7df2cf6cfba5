# valkeycache_set_warnings(<target>): the project's warnings, for the project's own targets only.
# Sanitizers are set here too, since they concern the same targets.

function(valkeycache_set_warnings target)
  if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
                                             -Wnon-virtual-dtor -Woverloaded-virtual)
    if(VALKEYCACHE_WERROR)
      target_compile_options(${target} PRIVATE -Werror)
    endif()
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 finds faults in std::string's own code (GCC bugs 105329, 105651).
    target_compile_options(${target} PRIVATE -Wno-restrict)
    if(VALKEYCACHE_SANITIZE)
      # The sanitizers' own checks confuse the flow analysis.
      target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized)
    endif()
    if(VALKEYCACHE_SANITIZE MATCHES "thread")
      target_compile_options(${target} PRIVATE -Wtsan)
    endif()
  endif()
  if(VALKEYCACHE_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${VALKEYCACHE_SANITIZE}
                                             -fno-sanitize-recover=all -fno-omit-frame-pointer)
    # A static library hands this on to whatever links it, so that a program finds the run-time.
    target_link_options(${target} PUBLIC "$<BUILD_INTERFACE:-fsanitize=${VALKEYCACHE_SANITIZE}>")
  endif()
endfunction()
