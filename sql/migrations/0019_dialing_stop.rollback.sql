drop table if exists dialing_stop;
