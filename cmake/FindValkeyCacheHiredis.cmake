# Finds hiredis without its own CMake or pkg-config files: those that Debian ships name /usr, which
# is wrong for a package that was unpacked elsewhere, and some distributions ship none.
#
# Looks in ValkeyCacheHiredis_ROOT, then in ${VALKEYCACHE_DEPS_DIR}/hiredis/usr (scripts/setup puts
# it there where the system's own is too old), then where the system keeps it; takes the first whose
# version will do.
#
#   ValkeyCacheHiredis::hiredis       the library
#   ValkeyCacheHiredis::hiredis_ssl   its TLS part, only where there is one
#   ValkeyCacheHiredis_VERSION, _INCLUDE_DIR, _LIBRARY, _SSL_LIBRARY
#   ValkeyCacheHiredis_STATIC         the library is an archive
#   ValkeyCacheHiredis_PRIVATE        it is the one under VALKEYCACHE_DEPS_DIR

set(_vch_private_root "")
if(VALKEYCACHE_DEPS_DIR AND EXISTS "${VALKEYCACHE_DEPS_DIR}/hiredis/usr/include/hiredis/hiredis.h")
  set(_vch_private_root "${VALKEYCACHE_DEPS_DIR}/hiredis/usr")
endif()

set(ValkeyCacheHiredis_VERSION "")
set(ValkeyCacheHiredis_INCLUDE_DIR "")
set(_vch_seen "")
foreach(_vch_root IN ITEMS "${ValkeyCacheHiredis_ROOT}" "$ENV{ValkeyCacheHiredis_ROOT}"
                           "${_vch_private_root}" "SYSTEM")
  if(_vch_root STREQUAL "")
    continue()
  endif()
  unset(_vch_include CACHE)
  if(_vch_root STREQUAL "SYSTEM")
    find_path(_vch_include hiredis/hiredis.h)
  else()
    find_path(_vch_include hiredis/hiredis.h PATHS "${_vch_root}" PATH_SUFFIXES include
                                                                                NO_DEFAULT_PATH)
  endif()
  if(NOT _vch_include)
    continue()
  endif()
  file(STRINGS "${_vch_include}/hiredis/hiredis.h" _vch_lines
       REGEX "^#define[ \t]+HIREDIS_(MAJOR|MINOR|PATCH)[ \t]+[0-9]+")
  set(_vch_version "")
  foreach(_vch_part IN ITEMS MAJOR MINOR PATCH)
    if("${_vch_lines}" MATCHES "HIREDIS_${_vch_part}[ \t]+([0-9]+)")
      list(APPEND _vch_version "${CMAKE_MATCH_1}")
    endif()
  endforeach()
  list(JOIN _vch_version "." _vch_version)
  list(APPEND _vch_seen "${_vch_version} in ${_vch_include}")
  if(NOT ValkeyCacheHiredis_FIND_VERSION OR NOT _vch_version VERSION_LESS
                                             ValkeyCacheHiredis_FIND_VERSION)
    set(ValkeyCacheHiredis_VERSION "${_vch_version}")
    set(ValkeyCacheHiredis_INCLUDE_DIR "${_vch_include}")
    set(_vch_chosen "${_vch_root}")
    break()
  endif()
endforeach()
unset(_vch_include CACHE)

set(ValkeyCacheHiredis_PRIVATE OFF)
if(ValkeyCacheHiredis_INCLUDE_DIR)
  if(_vch_private_root AND _vch_chosen STREQUAL _vch_private_root)
    set(ValkeyCacheHiredis_PRIVATE ON)
  endif()
  if(ValkeyCacheHiredis_PRIVATE OR VALKEYCACHE_BUNDLE_HIREDIS)
    set(_vch_prefix libhiredis.a)
    set(_vch_ssl libhiredis_ssl.a)
  else()
    set(_vch_prefix hiredis)
    set(_vch_ssl hiredis_ssl)
  endif()
  if(_vch_chosen STREQUAL "SYSTEM")
    set(_vch_where "")
  else()
    set(_vch_where PATHS "${_vch_chosen}" PATH_SUFFIXES lib lib64 "lib/${CMAKE_LIBRARY_ARCHITECTURE}"
                   NO_DEFAULT_PATH)
  endif()
  foreach(_vch_name IN ITEMS LIBRARY SSL_LIBRARY)
    if(_vch_name STREQUAL "LIBRARY")
      set(_vch_names ${_vch_prefix})
    else()
      set(_vch_names ${_vch_ssl})
    endif()
    unset(_vch_found CACHE)
    find_library(_vch_found NAMES ${_vch_names} ${_vch_where})
    set(ValkeyCacheHiredis_${_vch_name} "")
    if(_vch_found)
      set(ValkeyCacheHiredis_${_vch_name} "${_vch_found}")
    endif()
    unset(_vch_found CACHE)
  endforeach()
endif()

if(ValkeyCacheHiredis_LIBRARY MATCHES "\\.a$")
  set(ValkeyCacheHiredis_STATIC ON)
else()
  set(ValkeyCacheHiredis_STATIC OFF)
endif()

set(_vch_reason "")
if(NOT ValkeyCacheHiredis_LIBRARY)
  if(_vch_seen)
    list(JOIN _vch_seen ", " _vch_seen)
    set(_vch_reason "Seen: ${_vch_seen}. ")
  endif()
  string(APPEND _vch_reason "In a clone of ValkeyCache, scripts/setup gets it.")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  ValkeyCacheHiredis
  REQUIRED_VARS ValkeyCacheHiredis_LIBRARY ValkeyCacheHiredis_INCLUDE_DIR
  VERSION_VAR ValkeyCacheHiredis_VERSION
  REASON_FAILURE_MESSAGE "${_vch_reason}")

if(ValkeyCacheHiredis_FOUND)
  if(NOT TARGET ValkeyCacheHiredis::hiredis)
    add_library(ValkeyCacheHiredis::hiredis UNKNOWN IMPORTED)
    set_target_properties(
      ValkeyCacheHiredis::hiredis
      PROPERTIES IMPORTED_LOCATION "${ValkeyCacheHiredis_LIBRARY}"
                 INTERFACE_INCLUDE_DIRECTORIES "${ValkeyCacheHiredis_INCLUDE_DIR}")
  endif()
  if(ValkeyCacheHiredis_SSL_LIBRARY AND NOT TARGET ValkeyCacheHiredis::hiredis_ssl)
    find_package(OpenSSL QUIET)
    add_library(ValkeyCacheHiredis::hiredis_ssl UNKNOWN IMPORTED)
    set_target_properties(
      ValkeyCacheHiredis::hiredis_ssl
      PROPERTIES IMPORTED_LOCATION "${ValkeyCacheHiredis_SSL_LIBRARY}"
                 INTERFACE_INCLUDE_DIRECTORIES "${ValkeyCacheHiredis_INCLUDE_DIR}"
                 INTERFACE_LINK_LIBRARIES
                 "ValkeyCacheHiredis::hiredis;OpenSSL::SSL;OpenSSL::Crypto")
  endif()
endif()

foreach(_vch_name IN ITEMS private_root seen root chosen include lines version part prefix ssl where names
                           name found reason)
  unset(_vch_${_vch_name})
endforeach()
