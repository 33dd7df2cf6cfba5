# valkeycache_link_hiredis(<target>): links hiredis privately. Where it is bundled, nothing of it is
# visible outside the library:
#
# - A static library takes hiredis's objects in, with every global name renamed in them and in our
#   own objects (BundleHiredis.cmake). A program may then link any other hiredis as well.
# - A shared library links the archive and exports none of its names.

function(valkeycache_link_hiredis target)
  set(has_ssl OFF)
  if(TARGET ValkeyCacheHiredis::hiredis_ssl)
    set(has_ssl ON)
    target_compile_definitions(${target} PRIVATE VALKEYCACHE_HAVE_HIREDIS_SSL)
  endif()

  if(NOT VALKEYCACHE_BUNDLE_HIREDIS)
    target_link_libraries(${target} PRIVATE ValkeyCacheHiredis::hiredis)
    if(has_ssl)
      target_link_libraries(${target} PRIVATE ValkeyCacheHiredis::hiredis_ssl)
    endif()
    return()
  endif()

  target_include_directories(${target} SYSTEM PRIVATE "${ValkeyCacheHiredis_INCLUDE_DIR}")
  if(VALKEYCACHE_FETCH_HIREDIS)
    add_dependencies(${target} valkeycache_fetched_hiredis valkeycache_fetched_hiredis_ssl)
  endif()
  set(archives "${ValkeyCacheHiredis_LIBRARY}")
  if(has_ssl)
    list(PREPEND archives "${ValkeyCacheHiredis_SSL_LIBRARY}")
  endif()

  get_target_property(type ${target} TYPE)
  if(type STREQUAL "STATIC_LIBRARY")
    # Names inside link-time-optimisation byte code cannot be renamed.
    set_target_properties(${target} PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
    target_compile_options(${target} PRIVATE -fno-lto)
    add_custom_command(
      TARGET ${target}
      POST_BUILD
      COMMAND
        "${CMAKE_COMMAND}" "-DLIBRARY=$<TARGET_FILE:${target}>" "-DARCHIVES=${archives}"
        "-DWORK_DIR=${CMAKE_CURRENT_BINARY_DIR}/${target}_bundle" "-DAR=${CMAKE_AR}"
        "-DNM=${CMAKE_NM}" "-DOBJCOPY=${CMAKE_OBJCOPY}" -P
        "${PROJECT_SOURCE_DIR}/cmake/BundleHiredis.cmake"
      COMMENT "Putting hiredis into ${target}"
      VERBATIM)
  else()
    foreach(archive IN LISTS archives)
      target_link_libraries(${target} PRIVATE "$<BUILD_INTERFACE:${archive}>")
      target_link_options(${target} PRIVATE "LINKER:--exclude-libs,libhiredis.a:libhiredis_ssl.a")
    endforeach()
  endif()
endfunction()
