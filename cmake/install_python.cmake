# SPDX-License-Identifier: Apache-2.0
# Installs what colcon adds to the interfaces: the Python code, laid over the generated package of
# the same name (hence after rosidl_generate_interfaces), shared files, and an executable a node.
install(DIRECTORY expo_ft_ros/ DESTINATION "${PYTHON_INSTALL_DIR}/expo_ft_ros"
  FILES_MATCHING PATTERN "*.py" PATTERN "py.typed" PATTERN "*.css" PATTERN "*.js"
  PATTERN "__pycache__" EXCLUDE)

foreach(folder config foxglove launch rviz)
  if(IS_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}/${folder}")
    install(DIRECTORY ${folder} DESTINATION share/${PROJECT_NAME}
      PATTERN "__pycache__" EXCLUDE)
  endif()
endforeach()

# The environment that is active while building is the one that has torch: its interpreter runs
# whatever `ros2 run`, `ros2 launch` and the shell start, which itself may be another Python.
set(node_python "${Python3_EXECUTABLE}")
function(install_executable name module destination)
  configure_file(cmake/executable.in "${CMAKE_CURRENT_BINARY_DIR}/executables/${name}" @ONLY)
  install(PROGRAMS "${CMAKE_CURRENT_BINARY_DIR}/executables/${name}" DESTINATION ${destination})
endfunction()

file(GLOB nodes RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}/expo_ft_ros/nodes" CONFIGURE_DEPENDS
  "expo_ft_ros/nodes/*.py")
list(FILTER nodes EXCLUDE REGEX "^_")
foreach(file IN LISTS nodes)
  string(REGEX REPLACE "\\.py$" "" node "${file}")
  install_executable(${node} ${PROJECT_NAME}.nodes.${node} lib/${PROJECT_NAME})
endforeach()
install_executable(handover ${PROJECT_NAME}.bringup.handover lib/${PROJECT_NAME})
install_executable(expo-ft ${PROJECT_NAME}.cli.main bin)
