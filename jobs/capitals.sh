#!/usr/bin/env bash
# capitals.sh: writes two small texts in English and Japanese for a first model that answers: facts.txt, running text, and answers.txt,
# lines of a question, a tab and its answer.
set -euo pipefail

table() {
    sed -E 's/ *, */\t/g' <<'END'
France, Paris, フランス, パリ
Germany, Berlin, ドイツ, ベルリン
Italy, Rome, イタリア, ローマ
Spain, Madrid, スペイン, マドリード
Portugal, Lisbon, ポルトガル, リスボン
Greece, Athens, ギリシャ, アテネ
Poland, Warsaw, ポーランド, ワルシャワ
Austria, Vienna, オーストリア, ウィーン
Hungary, Budapest, ハンガリー, ブダペスト
Norway, Oslo, ノルウェー, オスロ
Sweden, Stockholm, スウェーデン, ストックホルム
Finland, Helsinki, フィンランド, ヘルシンキ
Denmark, Copenhagen, デンマーク, コペンハーゲン
Ireland, Dublin, アイルランド, ダブリン
Iceland, Reykjavik, アイスランド, レイキャビク
Russia, Moscow, ロシア, モスクワ
Ukraine, Kyiv, ウクライナ, キーウ
Turkey, Ankara, トルコ, アンカラ
Egypt, Cairo, エジプト, カイロ
Kenya, Nairobi, ケニア, ナイロビ
Morocco, Rabat, モロッコ, ラバト
Ghana, Accra, ガーナ, アクラ
India, New Delhi, インド, ニューデリー
Nepal, Kathmandu, ネパール, カトマンズ
China, Beijing, 中国, 北京
Japan, Tokyo, 日本, 東京
South Korea, Seoul, 韓国, ソウル
Mongolia, Ulaanbaatar, モンゴル, ウランバートル
Thailand, Bangkok, タイ, バンコク
Vietnam, Hanoi, ベトナム, ハノイ
Indonesia, Jakarta, インドネシア, ジャカルタ
Australia, Canberra, オーストラリア, キャンベラ
New Zealand, Wellington, ニュージーランド, ウェリントン
Canada, Ottawa, カナダ, オタワ
Mexico, Mexico City, メキシコ, メキシコシティ
Cuba, Havana, キューバ, ハバナ
Peru, Lima, ペルー, リマ
Chile, Santiago, チリ, サンティアゴ
Argentina, Buenos Aires, アルゼンチン, ブエノスアイレス
Brazil, Brasilia, ブラジル, ブラジリア
END
}

# 2400 sentences in an order that looks random, and is the same with every awk.
table | awk -F '\t' '
    { line[NR - 1] = $0 }
    END {
        for (x = i = 0; i < 2400; i++) {
            x = (x * 1741 + 54773) % 65536
            split(line[int(x / 16) % NR], c, "\t")
            way = int(x / 1024) % 4
            if (way == 0) print "The capital of " c[1] " is " c[2] "."
            if (way == 1) print c[2] " is the capital of " c[1] "."
            if (way == 2) print c[3] "の首都は" c[4] "です。"
            if (way == 3) print c[4] "は" c[3] "の首都です。"
        }
    }' >facts.txt

table | awk -F '\t' '{
    print "What is the capital of " $1 "?\t" $2 "."
    print "Where is " $2 "?\tIn " $1 "."
    print $3 "の首都は？\t" $4 "です。"
    print $4 "はどこ？\t" $3 "です。"
}' >answers.txt
