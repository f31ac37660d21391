# SPDX-License-Identifier: Apache-2.0
# `colcon test`: the tests that start no process, with the interfaces as they were just built. All of
# them, with lint and types: ./expo-ft test.
find_package(ament_cmake_pytest REQUIRED)

ament_add_pytest_test(quick test
  PYTHON_EXECUTABLE "${Python3_EXECUTABLE}"
  WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}"
  TIMEOUT 900
  ENV "PYTEST_ADDOPTS=-m 'not (process or realtime or browser or slow)'"
  APPEND_ENV "PYTHONPATH=${CMAKE_CURRENT_BINARY_DIR}/rosidl_generator_py"
  APPEND_LIBRARY_DIRS "${CMAKE_CURRENT_BINARY_DIR}")
