drop table if exists worker;
drop table if exists duty;
drop table if exists counter;
