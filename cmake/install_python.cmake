# Installs what colcon adds to the interfaces: the Python code, laid over the generated package of
# the same name (hence after rosidl_generate_interfaces), shared files, and an executable a node.
install(DIRECTORY expo_ft_ros/ DESTINATION "${PYTHON_INSTALL_DIR}/expo_ft_ros"
  FILES_MATCHING PATTERN "*.py" PATTERN "py.typed" PATTERN "__pycache__" EXCLUDE)

foreach(folder config launch rviz)
  if(IS_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}/${folder}")
    install(DIRECTORY ${folder} DESTINATION share/${PROJECT_NAME}
      PATTERN "__pycache__" EXCLUDE)
  endif()
endforeach()

# The environment that is active while building is the one that has torch.
set(node_python "${Python3_EXECUTABLE}")
foreach(node agent arbitration camera keyboard learner monitor operator policy proprio recorder reward
    session sim spacemouse teleop)
  if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/expo_ft_ros/nodes/${node}.py")
    continue()
  endif()
  configure_file(cmake/node.in "${CMAKE_CURRENT_BINARY_DIR}/nodes/${node}" @ONLY)
  install(PROGRAMS "${CMAKE_CURRENT_BINARY_DIR}/nodes/${node}" DESTINATION lib/${PROJECT_NAME})
endforeach()
