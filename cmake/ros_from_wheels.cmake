# SPDX-License-Identifier: Apache-2.0
# ROS 2 from PyPI wheels: three mends, all without effect under a normal ROS 2 installation.

# The wheels install into a Python environment's prefix, which no setup file announces.
if("$ENV{AMENT_PREFIX_PATH}" STREQUAL "")
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  execute_process(
    COMMAND "${Python3_EXECUTABLE}" -c "import ament_package, sys; print(sys.prefix)"
    OUTPUT_VARIABLE _prefix OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE _missing ERROR_QUIET)
  if(_missing)
    message(FATAL_ERROR "No ROS 2: source /opt/ros/<distro>/setup.bash, or use ./expo-ft")
  endif()
  set(ENV{AMENT_PREFIX_PATH} "${_prefix}")
  list(APPEND CMAKE_PREFIX_PATH "${_prefix}")
endif()

# The wheels' targets name include directories of the machine that built them, which CMake refuses.
function(drop_missing_include_directories)
  get_property(_targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(_target IN LISTS _targets)
    get_target_property(_directories ${_target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT _directories)
      continue()
    endif()
    set(_kept "")
    foreach(_directory IN LISTS _directories)
      if(_directory MATCHES "\\$<" OR EXISTS "${_directory}")
        list(APPEND _kept "${_directory}")
      endif()
    endforeach()
    set_target_properties(${_target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_kept}")
  endforeach()
endfunction()

# NumPy in a virtual environment inside the checkout: CMake refuses to export a path of the sources.
function(keep_numpy_out_of_the_export target)
  get_target_property(_directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
  list(TRANSFORM _directories REPLACE "^(/.*/numpy/.*)$" "$<BUILD_INTERFACE:\\1>")
  set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_directories}")
endfunction()
