"""What is checked and added around every route: names, sizes, times, origins, rates."""
