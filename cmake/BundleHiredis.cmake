# Run after a static library was made: adds the objects of ARCHIVES to LIBRARY, and gives every
# global name that ARCHIVES define a prefix, in both. Needs LIBRARY, ARCHIVES, WORK_DIR, AR, NM and
# OBJCOPY.

set(prefix "valkeycache_private_")

function(run)
  execute_process(COMMAND ${ARGV} WORKING_DIRECTORY "${WORK_DIR}" RESULT_VARIABLE result
                  OUTPUT_VARIABLE output ERROR_VARIABLE errors)
  if(NOT result EQUAL 0)
    file(REMOVE "${LIBRARY}") # half made, it would count as built
    message(FATAL_ERROR "${ARGV}\n${output}${errors}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE "${WORK_DIR}")
file(MAKE_DIRECTORY "${WORK_DIR}/objects")

set(names "")
foreach(archive IN LISTS ARCHIVES)
  run("${NM}" --defined-only --extern-only --format=posix "${archive}")
  string(REGEX MATCHALL "[^\n]+" lines "${output}")
  foreach(line IN LISTS lines)
    if(line MATCHES "^([A-Za-z_][A-Za-z0-9_]*) [A-Z] ")
      list(APPEND names "${CMAKE_MATCH_1}")
    endif()
  endforeach()
endforeach()
list(REMOVE_DUPLICATES names)
if(NOT names)
  message(FATAL_ERROR "no names in ${ARCHIVES}")
endif()
set(map "")
foreach(name IN LISTS names)
  string(APPEND map "${name} ${prefix}${name}\n")
endforeach()
file(WRITE "${WORK_DIR}/names" "${map}")

foreach(archive IN LISTS ARCHIVES)
  get_filename_component(stem "${archive}" NAME_WE)
  set(copy "${WORK_DIR}/${stem}.a")
  run("${OBJCOPY}" "--redefine-syms=${WORK_DIR}/names" "${archive}" "${copy}")
  file(MAKE_DIRECTORY "${WORK_DIR}/${stem}")
  execute_process(COMMAND "${AR}" x "${copy}" WORKING_DIRECTORY "${WORK_DIR}/${stem}"
                  RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    file(REMOVE "${LIBRARY}")
    message(FATAL_ERROR "cannot unpack ${copy}")
  endif()
  file(GLOB objects "${WORK_DIR}/${stem}/*")
  foreach(object IN LISTS objects)
    get_filename_component(name "${object}" NAME)
    file(RENAME "${object}" "${WORK_DIR}/objects/${stem}-${name}")
  endforeach()
endforeach()

run("${OBJCOPY}" "--redefine-syms=${WORK_DIR}/names" "${LIBRARY}")
file(GLOB objects "${WORK_DIR}/objects/*")
run("${AR}" qs "${LIBRARY}" ${objects})
file(REMOVE_RECURSE "${WORK_DIR}")
