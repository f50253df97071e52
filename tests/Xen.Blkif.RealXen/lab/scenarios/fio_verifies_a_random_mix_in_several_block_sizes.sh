disk=$(image disk 32M)
sum=$(md5 "$disk")
FIO=1 guest g <"$job_of_data"
attach g xvda "$disk"
go g
finishes g 240
keeps_its_data g "$sum"
attached_ends g xvda
