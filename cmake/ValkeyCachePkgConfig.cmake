# valkeycache_install_pkgconfig(<name> DESCRIPTION <text> [LIBRARY <target>] [REQUIRES <pc>...]
#   [LINK_REQUIRES <pc>...] [LINK_LIBS <flag>...])
#
# Writes and installs <name>.pc. The paths in it are relative to where it lies, so that an installed
# tree can be moved.
#
# LINK_REQUIRES and LINK_LIBS are what a static library needs of others. They are written as public
# ones, since only the static library is installed then: `pkg-config --libs` and
# `pkg-config --static --libs` both give what links. A shared library brings in its own needs, and
# nothing of them is written.

function(valkeycache_install_pkgconfig name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "DESCRIPTION;LIBRARY"
                        "REQUIRES;LINK_REQUIRES;LINK_LIBS")
  set(pc_dir "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig")
  foreach(folder IN ITEMS LIBDIR INCLUDEDIR)
    file(RELATIVE_PATH ${folder} "${pc_dir}" "${CMAKE_INSTALL_FULL_${folder}}")
    string(REGEX REPLACE "/$" "" ${folder} "${${folder}}")
  endforeach()

  set(text "libdir=\${pcfiledir}/${LIBDIR}\nincludedir=\${pcfiledir}/${INCLUDEDIR}\n\n")
  string(APPEND text "Name: ${name}\nDescription: ${arg_DESCRIPTION}\n")
  string(APPEND text "Version: ${PROJECT_VERSION}\n")
  list(TRANSFORM arg_REQUIRES APPEND " = ${PROJECT_VERSION}")
  if(BUILD_SHARED_LIBS)
    set(arg_LINK_REQUIRES "")
    set(arg_LINK_LIBS "")
  endif()
  list(JOIN arg_REQUIRES ", " requires)
  list(JOIN arg_LINK_REQUIRES ", " link_requires)
  if(requires OR link_requires)
    list(APPEND all_requires ${requires} ${link_requires})
    list(JOIN all_requires ", " all_requires)
    string(APPEND text "Requires: ${all_requires}\n")
  endif()
  if(arg_LIBRARY)
    set(cflags "-I\${includedir}")
    if(BUILD_SHARED_LIBS)
      string(APPEND cflags " -DVALKEYCACHE_SHARED")
    endif()
    list(JOIN arg_LINK_LIBS " " link_libs)
    string(APPEND text "Cflags: ${cflags}\nLibs: -L\${libdir} -l${arg_LIBRARY} ${link_libs}\n")
  endif()

  file(WRITE "${PROJECT_BINARY_DIR}/${name}.pc" "${text}")
  install(FILES "${PROJECT_BINARY_DIR}/${name}.pc"
          DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endfunction()
