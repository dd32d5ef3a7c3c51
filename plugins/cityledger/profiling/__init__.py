"""Taking stock (数据资产梳理): what a dataset holds, and which files a department has."""
