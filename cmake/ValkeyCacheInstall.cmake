# Headers, libraries, package config and pkg-config files. What is installed depends on nothing in
# this source tree, .deps/ included.

include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/ValkeyCache")

install(
  DIRECTORY "${PROJECT_SOURCE_DIR}/include/valkeycache"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING
  PATTERN "*.hpp")

# Bedrock, which needs libcurl, has targets of its own, so that a machine without libcurl can use
# the others.
set(core_targets valkeycache_cache valkeycache_llm)
set(bedrock_targets "")
if(VALKEYCACHE_BEDROCK)
  set(bedrock_targets valkeycache_bedrock valkeycache)
else()
  list(APPEND core_targets valkeycache)
endif()

install(
  TARGETS ${core_targets}
  EXPORT ValkeyCacheTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(
  EXPORT ValkeyCacheTargets
  NAMESPACE ValkeyCache::
  DESTINATION "${package_dir}")
if(bedrock_targets)
  install(
    TARGETS ${bedrock_targets}
    EXPORT ValkeyCacheBedrockTargets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
  install(
    EXPORT ValkeyCacheBedrockTargets
    NAMESPACE ValkeyCache::
    DESTINATION "${package_dir}")
endif()

# What a user's machine must have for the static libraries; the shared ones bring it in themselves.
set(static_build ON)
if(BUILD_SHARED_LIBS)
  set(static_build OFF)
endif()
set(needs_hiredis OFF)
if(static_build AND NOT VALKEYCACHE_BUNDLE_HIREDIS)
  set(needs_hiredis ON)
  install(FILES "${PROJECT_SOURCE_DIR}/cmake/FindValkeyCacheHiredis.cmake"
          DESTINATION "${package_dir}")
endif()

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/ValkeyCacheConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/ValkeyCacheConfig.cmake"
  INSTALL_DESTINATION "${package_dir}"
  NO_SET_AND_CHECK_MACRO)
# No promise before 1.0: 0.2 is not 0.1.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/ValkeyCacheConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/ValkeyCacheConfig.cmake"
              "${PROJECT_BINARY_DIR}/ValkeyCacheConfigVersion.cmake"
        DESTINATION "${package_dir}")

# --- pkg-config -------------------------------------------------------------------------------------

include(ValkeyCachePkgConfig)
# Some are named by -l and not by their .pc files: not every hiredis has them, and libcurl's drags in
# a dozen libraries with --static that only its own archive needs.
set(cache_link_libs -pthread)
if(needs_hiredis)
  list(PREPEND cache_link_libs -lhiredis)
  if(TARGET ValkeyCacheHiredis::hiredis_ssl)
    list(PREPEND cache_link_libs -lhiredis_ssl)
  endif()
endif()
valkeycache_install_pkgconfig(
  valkeycache-cache
  DESCRIPTION "Keys, entries and the Valkey client of ValkeyCache"
  LIBRARY valkeycache_cache
  LINK_REQUIRES libssl libcrypto
  LINK_LIBS ${cache_link_libs})
valkeycache_install_pkgconfig(
  valkeycache-llm
  DESCRIPTION "ValkeyCache's cache-aside call over any model"
  LIBRARY valkeycache_llm
  REQUIRES valkeycache-cache)
set(all_parts valkeycache-cache valkeycache-llm)
if(VALKEYCACHE_BEDROCK)
  valkeycache_install_pkgconfig(
    valkeycache-bedrock
    DESCRIPTION "ValkeyCache's client of Amazon Bedrock"
    LIBRARY valkeycache_bedrock
    REQUIRES valkeycache-llm
    LINK_REQUIRES libcrypto
    LINK_LIBS -lcurl)
  list(APPEND all_parts valkeycache-bedrock)
endif()
valkeycache_install_pkgconfig(
  valkeycache
  DESCRIPTION "${PROJECT_DESCRIPTION}"
  REQUIRES ${all_parts})

# --- licences ---------------------------------------------------------------------------------------

set(licence_dir "${CMAKE_INSTALL_DATADIR}/licenses/valkeycache")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/NOTICE"
        DESTINATION "${licence_dir}")
if(VALKEYCACHE_BUNDLE_HIREDIS)
  install(FILES "${PROJECT_SOURCE_DIR}/cmake/licenses/hiredis.txt" DESTINATION "${licence_dir}")
endif()
