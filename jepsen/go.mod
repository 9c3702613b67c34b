module muster/jepsen

go 1.19
