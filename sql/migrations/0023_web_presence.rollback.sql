drop table if exists web_presence;
