"""A server that cannot start leaves nothing behind."""

import socket

import pytest

from dsn_processor.cli import main


@pytest.mark.parametrize("section", ["smtp", "lmtp", "web"])
def test_where_an_address_is_taken_no_database_is_made(tmp_path, capsys, section):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        listen = {"smtp": '["127.0.0.1:0"]', "lmtp": "[]", "web": '"none"'}
        listen[section] = f'"{where}"' if section == "web" else f'["{where}"]'
        config = tmp_path / "dsn-processor.toml"
        lines = [f'database = "sqlite:///{tmp_path}/b.db"']
        lines += [f"[{name}]\nlisten = {value}" for name, value in listen.items()]
        config.write_text("\n".join(lines))
        assert main(["serve", "--config", str(config)]) != 0
    assert f"cannot listen on {where}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [config]
