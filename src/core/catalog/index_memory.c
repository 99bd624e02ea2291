/* SPDX-License-Identifier: Apache-2.0 */
/* Plain containers of the index: a map from 64-bit keys, and texts kept once each. */
#include <stdlib.h>
#include <string.h>

#include "index_internal.h"

static void *must(void *memory)
{
    if (!memory)
        log_die("out of memory in the catalogue index");
    return memory;
}

static size_t slot_of(const struct id_map *map, uint64_t key)
{
    uint64_t h = key * 0x9E3779B97F4A7C15u;
    size_t slot = (size_t)(h >> 20) & (map->slots - 1);
    while (map->keys[slot] != 0 && map->keys[slot] != key)
        slot = (slot + 1) & (map->slots - 1);
    return slot;
}

int64_t id_map_get(const struct id_map *map, uint64_t key)
{
    if (map->count == 0 || key == 0)
        return ID_MAP_NONE;
    size_t slot = slot_of(map, key);
    return map->keys[slot] ? (int64_t)map->values[slot] : ID_MAP_NONE;
}

static void id_map_grow(struct id_map *map)
{
    struct id_map bigger = {.slots = map->slots ? map->slots * 2 : 1024};
    bigger.keys = must(calloc(bigger.slots, sizeof(*bigger.keys)));
    bigger.values = must(calloc(bigger.slots, sizeof(*bigger.values)));
    for (size_t i = 0; i < map->slots; i++)
        if (map->keys[i])
            id_map_put(&bigger, map->keys[i], map->values[i]);
    id_map_free(map);
    *map = bigger;
}

void id_map_put(struct id_map *map, uint64_t key, uint32_t value)
{
    if ((map->count + 1) * 2 > map->slots)
        id_map_grow(map);
    size_t slot = slot_of(map, key);
    map->count += map->keys[slot] == 0;
    map->keys[slot] = key;
    map->values[slot] = value;
}

void id_map_free(struct id_map *map)
{
    free(map->keys);
    free(map->values);
    *map = (struct id_map){0};
}

static str_t keep(struct intern *pool, str_t text)
{
    if (pool->block_used + text.len + 1 > pool->block_size) {
        pool->block_size = text.len + 1 > 65536 ? text.len + 1 : 65536;
        pool->block = must(malloc(pool->block_size));
        pool->block_used = 0;
        pool->blocks = must(realloc(pool->blocks, (pool->block_count + 1) * sizeof(char *)));
        pool->blocks[pool->block_count++] = pool->block;
    }
    char *at = pool->block + pool->block_used;
    if (text.len)
        memcpy(at, text.data, text.len);
    at[text.len] = '\0';
    pool->block_used += text.len + 1;
    return str_from(at, text.len);
}

static uint64_t key_of(str_t text)
{
    uint64_t hash = str_hash(text);
    return hash ? hash : 1;
}

int64_t intern_find(const struct intern *pool, str_t text)
{
    for (uint64_t key = key_of(text);; key = key + 1 ? key + 1 : 1) {
        int64_t number = id_map_get(&pool->by_hash, key);
        if (number < 0 || str_eq(pool->texts[number], text))
            return number;
    }
}

uint32_t intern_put(struct intern *pool, str_t text)
{
    uint64_t key = key_of(text);
    for (;; key = key + 1 ? key + 1 : 1) {
        int64_t number = id_map_get(&pool->by_hash, key);
        if (number < 0)
            break;
        if (str_eq(pool->texts[number], text))
            return (uint32_t)number;
    }
    if (pool->count == pool->slots) {
        pool->slots = pool->slots ? pool->slots * 2 : 256;
        pool->texts = must(realloc(pool->texts, pool->slots * sizeof(str_t)));
    }
    pool->texts[pool->count] = keep(pool, text);
    id_map_put(&pool->by_hash, key, pool->count);
    return pool->count++;
}

void intern_free(struct intern *pool)
{
    for (size_t i = 0; i < pool->block_count; i++)
        free(pool->blocks[i]);
    free(pool->blocks);
    free(pool->texts);
    id_map_free(&pool->by_hash);
    *pool = (struct intern){0};
}
