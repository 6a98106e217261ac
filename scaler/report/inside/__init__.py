"""What people see of the inside of networks: pictures, tables and sentences."""
