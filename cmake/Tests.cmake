# Tests. A file is a test by its name and place:
#
#   src/FOLDER/X_test.c          cmocka program, label unit
#   tests/KIND/X_test.c          cmocka program, label KIND (golden, sim, ...)
#   tests/KIND/X_test.py         Python unittest (standard library only), label KIND (e2e, ...)
#   tests/fuzz/fuzz_X.c          libFuzzer target, label fuzz, corpus in tests/fuzz/corpus/X
#   examples/c/X.c               prints what examples/c/X.expected has, label unit
#
# Each preset registers those it is good for (FRESHET_TESTS): dev, asan and cov all but the fuzz
# targets; fuzz only these; tsan and release those that ask for it in their first lines, by a comment
# that holds nothing but such words (in Python after a #):
#
#   /* tsan */            run under ThreadSanitizer too
#   /* release */         run with the release build too
#   /* release only */    ... and nowhere else: what measures time or memory
#   /* serial */          run while no other test runs
#   /* needs: kafka */    run with a real Kafka broker: needs: cassandra, needs: kafka cassandra
#
#   # a test each folder   a Python file whose tests are named test_FOLDER_... by the folders beside it: those of a
#                            folder are a test of their own, PRESET/KIND/FOLDER, and run beside the others
#
# Those real servers are started once per run of ctest, before the first test that needs them, and ended
# after the last, or with ctest if it is interrupted; what they are is in the test's environment, as
# tests/services/service says. Python tests that need servers are run by the Python of scripts/setup,
# which has independent clients of them; tests/e2e/services.py makes these short to use.
#
# Time-outs are the last guard, against what hangs; what a test waits for has deadlines of its own. Both grow with
# FRESHET_SLOWNESS, which scripts/slowness measures when the tests begin; time-outs have room for what comes later. A test
# that reads FRESHET_KILLS has eight times as long: scripts/torture asks more of it.
#
# A test is run in the source folder, with FRESHET (the binary), FRESHET_SOURCE (this checkout) and
# FRESHET_PRESET (dev, asan, ...) in its environment. Its name is PRESET/FOLDER/X.

if(FRESHET_TESTS STREQUAL "none")
    return()
endif()
find_program(PYTHON3 python3 REQUIRED)
set(slowness 1)
if("$ENV{FRESHET_SLOWNESS}" MATCHES "^[1-9][0-9]*$")
    set(slowness $ENV{FRESHET_SLOWNESS})
endif()

set(test_environment
    FRESHET=${CMAKE_CURRENT_BINARY_DIR}/freshet
    FRESHET_SOURCE=${CMAKE_CURRENT_SOURCE_DIR}
    FRESHET_PRESET=${FRESHET_TESTS}
    FRESHET_DEPS=${FRESHET_DEPS}
    FRESHET_CASSANDRA_ADAPTER=${CMAKE_CURRENT_SOURCE_DIR}/build/adapter/libfreshet_cassandra.so
    PYTHONPATH=${CMAKE_CURRENT_SOURCE_DIR}/tests/e2e
    PYTHONDONTWRITEBYTECODE=1
    ASAN_OPTIONS=abort_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1
    UBSAN_OPTIONS=print_stacktrace=1
    TSAN_OPTIONS=suppressions=${CMAKE_CURRENT_SOURCE_DIR}/scripts/tsan.supp:halt_on_error=1:second_deadlock_stack=1)

# The marks of a test file, and whether this preset is to run it.
function(read_marks file marks_out needs_out wanted_out)
    file(STRINGS ${file} lines LIMIT_COUNT 10 LIMIT_INPUT 2000)
    set(marks "")
    set(needs "")
    foreach(line IN LISTS lines)
        if(line MATCHES "^(/\\*|#) *((tsan|release|only|serial)[ ,]*)+(\\*/)?$")
            string(REGEX MATCHALL "[a-z]+" words "${line}")
            list(APPEND marks ${words})
        elseif(line MATCHES "^# a test each folder$")
            list(APPEND marks each_folder)
        elseif(line MATCHES "^(/\\*|#) *needs:(( *(kafka|cassandra))+) *(\\*/)?$")
            string(REGEX MATCHALL "[a-z]+" needs "${CMAKE_MATCH_2}")
        endif()
    endforeach()
    set(wanted FALSE)
    if(FRESHET_TESTS IN_LIST marks)
        set(wanted TRUE)
    elseif(FRESHET_TESTS MATCHES "^(dev|asan|cov)$" AND NOT only IN_LIST marks)
        set(wanted TRUE)
    endif()
    set(${marks_out} "${marks}" PARENT_SCOPE)
    set(${needs_out} "${needs}" PARENT_SCOPE)
    set(${wanted_out} ${wanted} PARENT_SCOPE)
endfunction()

# The tests that start and end a server for those that need it. The presets of one run share it.
function(add_service kind)
    set(name ${FRESHET_TESTS}/services/${kind})
    if(TEST ${name}_up)
        return()
    endif()
    foreach(verb IN ITEMS up down)
        add_test(NAME ${name}_${verb}
            COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/tests/services/service shared-${verb} ${kind}
            WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
        set_tests_properties(${name}_${verb} PROPERTIES
            LABELS services TIMEOUT 1800 ENVIRONMENT "${test_environment}")
    endforeach()
    set_tests_properties(${name}_up PROPERTIES FIXTURES_SETUP ${kind})
    set_tests_properties(${name}_down PROPERTIES FIXTURES_CLEANUP ${kind})
endfunction()

# Register what is in the list: FOLDER is the middle of the name, LABEL the label.
function(add_tests folder label patience)
    foreach(file IN LISTS ARGN)
        read_marks(${file} marks needs wanted)
        math(EXPR timeout "${patience} * ${slowness}")
        file(STRINGS ${file} kills REGEX FRESHET_KILLS LIMIT_COUNT 1)
        if(kills)
            math(EXPR timeout "${timeout} * 8")
        endif()
        # A change of the marks changes what is registered.
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
        if(NOT wanted)
            continue()
        endif()
        cmake_path(GET file STEM stem)
        string(REGEX REPLACE "_test$" "" short ${stem})
        set(name ${FRESHET_TESTS}/${folder}/${short})
        set(with "")
        set(python ${PYTHON3})
        if(needs)
            string(REPLACE ";" "," kinds "${needs}")
            set(with ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/tests/services/service with ${kinds})
            set(python ${FRESHET_DEPS}/python/bin/python3)
        endif()
        if(file MATCHES "\\.c$")
            set(target ${stem})
            if(TARGET ${target})
                set(target ${folder}_${stem})
            endif()
            add_executable(${target} ${file})
            set_target_properties(${target} PROPERTIES
                RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/tests/${folder})
            target_link_libraries(${target} PRIVATE freshet_internal PkgConfig::cmocka)
            if(folder STREQUAL cli AND TARGET freshet_cli)
                target_link_libraries(${target} PRIVATE freshet_cli)
            endif()
            add_test(NAME ${name} COMMAND ${with} $<TARGET_FILE:${target}>
                WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
        elseif(each_folder IN_LIST marks)
            cmake_path(GET file PARENT_PATH beside)
            file(GLOB cases CONFIGURE_DEPENDS RELATIVE ${beside} ${beside}/*/*.yaml)
            list(TRANSFORM cases REPLACE "/.*" "")
            list(REMOVE_DUPLICATES cases)
            set(name "")
            foreach(case IN LISTS cases)
                add_test(NAME ${FRESHET_TESTS}/${folder}/${case}
                    COMMAND ${with} ${python} ${CMAKE_CURRENT_SOURCE_DIR}/scripts/run-unittest
                        ${file} -k test_${case}_
                    WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
                list(APPEND name ${FRESHET_TESTS}/${folder}/${case})
            endforeach()
        else()
            add_test(NAME ${name}
                COMMAND ${with} ${python} ${CMAKE_CURRENT_SOURCE_DIR}/scripts/run-unittest ${file}
                WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
        endif()
        set_tests_properties(${name} PROPERTIES
            LABELS "${label}" TIMEOUT ${timeout} ENVIRONMENT "${test_environment}")
        if(folder STREQUAL property) # first: the others run beside these, and not behind them
            set_tests_properties(${name} PROPERTIES COST 1000)
        endif()
        if(serial IN_LIST marks)
            set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
        endif()
        if(needs)
            set_tests_properties(${name} PROPERTIES FIXTURES_REQUIRED "${needs}")
            foreach(kind IN LISTS needs)
                add_service(${kind})
            endforeach()
        endif()
    endforeach()
endfunction()

if(NOT FRESHET_FUZZ)
    pkg_check_modules(cmocka IMPORTED_TARGET cmocka)
    if(NOT cmocka_FOUND)
        message(STATUS "No cmocka, so no tests: scripts/setup test installs it")
        return()
    endif()

    file(GLOB_RECURSE files CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}/src src/*_test.c)
    foreach(file IN LISTS files)
        cmake_path(GET file PARENT_PATH folder)
        add_tests(${folder} unit 900 ${CMAKE_CURRENT_SOURCE_DIR}/src/${file})
    endforeach()

    file(GLOB folders CONFIGURE_DEPENDS LIST_DIRECTORIES true tests/*)
    foreach(path IN LISTS folders)
        if(IS_DIRECTORY ${path})
            cmake_path(GET path FILENAME folder)
            file(GLOB files CONFIGURE_DEPENDS ${path}/*_test.c ${path}/*_test.py)
            add_tests(${folder} ${folder} 1800 ${files})
        endif()
    endforeach()
endif()

# Examples in C are built as a user would, with the public header and the shared library alone, and run in their
# folder: X.c must print what X.expected has.
if(FRESHET_TESTS MATCHES "^(dev|asan|cov)$")
    file(GLOB files CONFIGURE_DEPENDS examples/c/*.c)
    foreach(file IN LISTS files)
        cmake_path(GET file STEM short)
        add_executable(example_${short} ${file})
        target_link_libraries(example_${short} PRIVATE freshet freshet_compile)
        add_test(NAME ${FRESHET_TESTS}/examples/${short}
            COMMAND sh -c "got=$($1) && echo \"$got\" && test \"$got\" = \"$(cat $2)\"" sh
                $<TARGET_FILE:example_${short}> ${short}.expected
            WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/examples/c)
        set_tests_properties(${FRESHET_TESTS}/examples/${short} PROPERTIES
            LABELS unit TIMEOUT 300 ENVIRONMENT "${test_environment}")
    endforeach()
endif()

# The Cassandra adapter's own unit tests, where scripts/build adapter has built it.
if(FRESHET_TESTS STREQUAL release AND EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/build/adapter)
    add_test(NAME release/adapter
        COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/scripts/build-adapter test)
    set_tests_properties(release/adapter PROPERTIES LABELS unit TIMEOUT 1800)
endif()

if(FRESHET_TESTS STREQUAL release AND TARGET freshet_binary)
    add_test(NAME release/install
        COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/scripts/check-install ${CMAKE_CURRENT_BINARY_DIR})
    set_tests_properties(release/install PROPERTIES LABELS install TIMEOUT 900)
    add_test(NAME release/kubernetes
        COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/scripts/check-kubernetes ${CMAKE_CURRENT_BINARY_DIR}/freshet)
    set_tests_properties(release/kubernetes PROPERTIES LABELS install TIMEOUT 900)
endif()

if(FRESHET_FUZZ)
    file(GLOB files CONFIGURE_DEPENDS tests/fuzz/fuzz_*.c)
    foreach(file IN LISTS files)
        cmake_path(GET file STEM target)
        string(REGEX REPLACE "^fuzz_" "" short ${target})
        add_executable(${target} ${file})
        set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS -Wno-missing-prototypes)
        target_link_libraries(${target} PRIVATE freshet_internal)
        target_link_options(${target} PRIVATE -fsanitize=fuzzer)
        add_test(NAME fuzz/${short}
            COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/scripts/fuzz $<TARGET_FILE:${target}>
            WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
        # The time to run is FRESHET_FUZZ_S of the environment, so there is no limit here to speak of.
        set_tests_properties(fuzz/${short} PROPERTIES
            LABELS fuzz TIMEOUT 100000 ENVIRONMENT "${test_environment}")
    endforeach()
endif()
