# Runs PROGRAM as shortly as can be and looks at the RESULTS: well-formed, and all rows there.

execute_process(COMMAND "${PROGRAM}" --smoke --out "${RESULTS}" RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "valkeycache_bench --smoke: ${status}")
endif()

set(missing
    W1.p50 W1.p99 W1.rate W1.asleep.p50 cpu.W1 cpu.W1.asleep W2.rate W2.asleep.rate cpu.W2
    cpu.W2.asleep W3.get W3.then W3.co_await W3.sliding W4.keys cpu.get cpu.then
    cpu.co_await latency.maximum clear.rate clear.others_p99 memory.idle_client memory.in_flight
    allocations.alone allocations.ask allocations.get allocations.then allocations.co_await key.4KiB key.128B warm.rate
    ask.p50 ask.p99 ask.key cpu.ask flight.callbacks flight.threads
    cpu.flight.callbacks cpu.flight.threads)
foreach(load 10 50 90)
  foreach(percentile p50 p99 p99.9)
    list(APPEND missing "latency.${load}%.${percentile}")
  endforeach()
endforeach()
foreach(size 100B 1KiB 8KiB 64KiB 1MiB)
  list(APPEND missing size.${size}.alone size.${size}.many)
endforeach()
foreach(size 4KiB 128B)
  list(APPEND missing near.${size}.find_near near.${size}.get near.${size}.ask)
endforeach()
foreach(share 1% 5% 20%)
  list(APPEND missing near.hit_rate.zipf.${share} near.hit_rate.zipf+scans.${share})
endforeach()
foreach(count 3 100 1000)
  list(APPEND missing nodes.${count}.allocations.alone nodes.${count}.allocations.many)
endforeach()
if(SIGN)
  list(APPEND missing sign.4KiB bedrock.memory bedrock.cpu_beyond_libcurl bedrock.cpu bedrock.call
       bedrock.cpu_beyond_libcurl.one_processor
       bedrock.500_at_once)
endif()

file(READ "${RESULTS}" json)
string(JSON count LENGTH "${json}")
math(EXPR last "${count} - 1")
foreach(i RANGE ${last})
  string(JSON name GET "${json}" ${i} name)
  string(JSON members LENGTH "${json}" ${i})
  if(NOT members EQUAL 7)
    message(FATAL_ERROR "${name}: ${members} members")
  endif()
  foreach(member value unit baseline ratio must held)
    string(JSON type TYPE "${json}" ${i} ${member})
    string(JSON ${member}_of GET "${json}" ${i} ${member})
  endforeach()
  string(JSON type TYPE "${json}" ${i} value)
  if(NOT type STREQUAL "NUMBER")
    message(FATAL_ERROR "${name}: no number")
  endif()
  list(REMOVE_ITEM missing "${name}")
endforeach()
if(missing)
  message(FATAL_ERROR "no rows: ${missing}")
endif()

execute_process(COMMAND "${PROGRAM}" --table "${RESULTS}" RESULT_VARIABLE status
                OUTPUT_VARIABLE table)
if(NOT status EQUAL 0 OR NOT table MATCHES "\\| work \\|.*1,024 gets in flight")
  message(FATAL_ERROR "--table: ${status}\n${table}")
endif()
