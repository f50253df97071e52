disk=$(image disk 32M)
sum=$(md5 "$disk")
FIO=1 guest g <"$job_of_data"
go g
attach g xvda "$disk"
finishes g 240
keeps_its_data g "$sum"
attached_ends g xvda
