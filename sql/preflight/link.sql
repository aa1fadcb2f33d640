-- Which server process answers, and whether it knows the session's mark.
select pg_backend_pid() as pid,
       current_setting('partitioner.probe', true) as probe,
       inet_server_port() as server_port,
       host(inet_client_addr()) as client_address
